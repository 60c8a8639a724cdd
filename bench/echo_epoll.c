/* The floor of all floors: a bare C epoll loop that answers every frame with as many bytes as our 0x8001 has.
 *
 *     cc -O2 -o echo_epoll echo_epoll.c && ./echo_epoll        prints "listening PORT"
 *
 * One thread, level-triggered, non-blocking; one recv and one send for each readable link. It checks nothing, keeps
 * nothing and knows no sessions: it counts the flags (0x7e), two to a frame, and sends the same 20 bytes for each frame.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER = 20, EVENTS = 1024, READ = 65536, MAX_FD = 1 << 17 };

/* 0x8001, five bytes of body, a phone of zeros, answered serial 0, answered id 0x0200, result 0, check byte. */
static const unsigned char answer[ANSWER] = {0x7e, 0x80, 0x01, 0x00, 0x05, 0, 0, 0,    0,    0,
                                             0,    0,    0,    0,    0,    2, 0, 0x00, 0x86, 0x7e};
static unsigned char in[READ], out[READ / 2 * ANSWER];
static unsigned char flags_left[MAX_FD]; /* 1: a frame of this link has begun and not ended */

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void hang_up(int poll, int fd) {
    epoll_ctl(poll, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
}

static void serve(int poll, int fd) {
    ssize_t got = recv(fd, in, READ, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) hang_up(poll, fd);
        return;
    }
    size_t flags = flags_left[fd];
    for (const unsigned char *at = in, *end = in + got; (at = memchr(at, 0x7e, (size_t)(end - at))); at++) flags++;
    flags_left[fd] = flags & 1;
    for (size_t n = 0; n < flags / 2; n++) memcpy(out + n * ANSWER, answer, ANSWER);
    size_t size = flags / 2 * ANSWER;
    if (size && send(fd, out, size, MSG_NOSIGNAL) != (ssize_t)size) hang_up(poll, fd);
}

static void take_all(int poll, int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        int one = 1;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        flags_left[fd] = 0;
        if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
}

int main(void) {
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    if (listener < 0 || poll < 0) die("socket");
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)) die("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &length)) die("getsockname");
    struct epoll_event first = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &first)) die("epoll_ctl");
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                take_all(poll, listener);
            else
                serve(poll, events[i].data.fd);
        }
    }
}
