"""Numbers of channels as MobileNets round them."""


def round_to_8(channels: float) -> int:
    """The nearest multiple of 8 that is not more than 10 % below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
