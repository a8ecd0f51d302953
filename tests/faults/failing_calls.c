/* Preloaded into a process: the next calls of one kind on paths that contain "ckpt" fail with an errno of choice.
   cc -shared -fPIC -o failing_calls.so failing_calls.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char call[16];
static int number, left;

void fail_next(const char *name, int error, int times) {
    snprintf(call, sizeof call, "%s", name);
    number = error;
    left = times;
}

int failures_left(void) { return left; }

static int fails(const char *name, const char *path) {
    if (left == 0 || strcmp(call, name) != 0 || path == NULL || strstr(path, "ckpt") == NULL)
        return 0;
    left--;
    errno = number;
    return 1;
}

static int fails_on(const char *name, int descriptor) {
    char link[64], path[4096];
    if (left == 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return fails(name, path);
}

int fsync(int descriptor) {
    return fails_on("fsync", descriptor) ? -1 : ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(descriptor);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    return fails_on("write", descriptor)
               ? -1
               : ((ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write"))(descriptor, data, size);
}

ssize_t read(int descriptor, void *data, size_t size) {
    return fails_on("read", descriptor)
               ? -1
               : ((ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read"))(descriptor, data, size);
}

int rename(const char *source, const char *target) {
    return fails("rename", source) ? -1 : ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(source, target);
}

int link(const char *source, const char *target) {
    return fails("link", source) ? -1 : ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "link"))(source, target);
}

static int opened(const char *real, const char *path, int flags, mode_t mode) {
    return fails("open", path) ? -1 : ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, real))(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened("open64", path, flags, mode);
}
