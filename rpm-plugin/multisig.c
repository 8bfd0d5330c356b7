/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multisig.so, a plugin of librpm: no package goes in that the policy does not approve, whatever program asks for it.
 *
 * Before a transaction (tsm_pre) it has the front end open each file, as librpm itself does when it verifies and when
 * it installs (RPMCALLBACK_INST_OPEN_FILE), and hands the descriptor to the checker, a program of its own
 * (multisig/librpm), which judges. librpm opens the files again later. So before a package goes in (psm_pre), and
 * before a script of it runs (scriptlet_pre), its header must be the one that was judged, and the file, too.
 *
 * Nothing here parses or decides. Whatever goes wrong is a refusal. Removals are left alone, and so are tests of a
 * transaction (rpm --test), which put nothing in.
 *
 * The two talk in datagrams over descriptor 3 of the checker:
 *   plugin:  "multisig-check 1 COUNT FLAGS"                   first; FLAGS are those of rpmtsFlags(), in hexadecimal
 *            NAME-[EPOCH:]VERSION-RELEASE.ARCH                of each installed package that rpm erases for the next
 *            the same, and a descriptor                       COUNT times, each answered before the next
 *            "finished"                                       after a transaction that went through
 *   checker: "."                                              at work; who is silent for too long is taken for hanging
 *            "H" and 64 hex digits                            the file's header, by rpm's own digest (SHA256HEADER)
 *            "A", "W" or "R", and a text to show              in the end: approved; not, but only warn; refused
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rpm/header.h>
#include <rpm/rpmcrypto.h>
#include <rpm/rpmio.h>
#include <rpm/rpmlog.h>
#include <rpm/rpmtd.h>
#include <rpm/rpmte.h>
#include <rpm/rpmts.h>
#if __has_include(<rpm/rpmplugin.h>)
#include <rpm/rpmplugin.h>
#else
#include "hooks-4.18.h"
#endif

/* The Makefile gives MULTISIG_CHECKER, its path, and MULTISIG_SILENCE, the seconds for which it may be silent. */
#define CHECKER_SOCKET 3
#define LOWEST_DESCRIPTOR 10 /* above those that the checker gets */
#define MOST_DESCRIPTORS (1 << 20)
#define DIGEST_HEX 64
#define MAX_LINE 4096
#define MAX_ANSWER 65536
#define NONSENSE "the checker's answer makes no sense"

enum state {
    OUTSIDE = 0, /* of a transaction that was judged: nothing may go in */
    COMPARING,   /* approved: what goes in must be what was judged */
    WARNING,     /* the configuration says only to warn */
};

struct judged {
    rpmte te;
    struct stat file;
    char digest[DIGEST_HEX + 1];
};

struct gate {
    enum state state;
    struct judged *judged;
    size_t count;
    int socket; /* to the checker; -1 when none runs */
    pid_t checker;
    char answer[MAX_ANSWER];
};

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
    char why[MAX_LINE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    rpmlog(RPMLOG_ERR, "multisig: refused; nothing was installed.\n\n  %s\n", why);
    return -1;
}

/* The checker's life */

static int spawn_checker(int socket, pid_t *pid)
{
    char *const argv[] = {(char[]){MULTISIG_CHECKER}, NULL};
    char *const envp[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, (char[]){"LC_ALL=C.UTF-8"}, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int rc = ENOMEM;

    /* rpm blocks signals while it holds its lock. An interrupt must end the checker, and with it the transaction. */
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    if (!posix_spawnattr_setsigmask(&attributes, &none) && !posix_spawnattr_setsigdefault(&attributes, &all) &&
        !posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) &&
        !posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) &&
        !posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) &&
        !posix_spawn_file_actions_adddup2(&actions, socket, CHECKER_SOCKET) &&
        !posix_spawn_file_actions_addclosefrom_np(&actions, CHECKER_SOCKET + 1))
        rc = posix_spawn(pid, MULTISIG_CHECKER, &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(struct gate *gate)
{
    const struct timeval patience = {.tv_sec = MULTISIG_SILENCE};
    int pair[2], theirs, rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return refuse("no socket for the checker: %s", strerror(errno));
    gate->socket = pair[0];
    theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR);
    close(pair[1]);
    rc = theirs < 0 || setsockopt(gate->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
                 setsockopt(gate->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0
             ? errno
             : spawn_checker(theirs, &gate->checker);
    close(theirs);
    return rc == 0 ? 0 : refuse("the checker cannot be started: %s: %s", MULTISIG_CHECKER, strerror(rc));
}

/* Ends a transaction, and the checker with it; `let_go`: when it has done its last work, and closed its socket. */
static void end(struct gate *gate, int let_go)
{
    if (let_go && gate->socket >= 0 && shutdown(gate->socket, SHUT_WR) == 0)
        while (TEMP_FAILURE_RETRY(recv(gate->socket, gate->answer, sizeof(gate->answer), 0)) > 0)
            ;
    if (gate->socket >= 0)
        close(gate->socket);
    /* Not where somebody else has reaped it: the number may be another's by now. */
    if (gate->checker > 0 && waitpid(gate->checker, NULL, WNOHANG) == 0) {
        kill(gate->checker, SIGKILL);
        (void)TEMP_FAILURE_RETRY(waitpid(gate->checker, NULL, 0));
    }
    free(gate->judged);
    memset(gate, 0, sizeof(*gate));
    gate->socket = -1;
}

/* The talk with it */

static int say(struct gate *gate, const char *word, int fd)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)word, .iov_len = strlen(word)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};

    if (fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof(control.room);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
    }
    if (TEMP_FAILURE_RETRY(sendmsg(gate->socket, &message, MSG_NOSIGNAL)) != (ssize_t)part.iov_len)
        return refuse("the checker does not listen: %s", strerror(errno));
    return 0;
}

/* Has the checker's next word that is more than a sign of life in gate->answer; 0 if it begins with one of these. */
static int hear(struct gate *gate, const char *expected)
{
    ssize_t length;

    do
        length = TEMP_FAILURE_RETRY(recv(gate->socket, gate->answer, sizeof(gate->answer) - 1, 0));
    while (length == 1 && gate->answer[0] == '.');
    if (length <= 0)
        return refuse("no answer from the checker%s", length == 0 ? ", which has ended" : " in time");
    gate->answer[length] = '\0';
    return gate->answer[0] != '\0' && strchr(expected, gate->answer[0]) != NULL ? 0 : refuse(NONSENSE);
}

/* A descriptor of the file that rpm is going to open for this element, by the front end's own way of opening it. */
static int open_element(rpmts ts, rpmte te)
{
    FD_t file = rpmtsNotify(ts, te, RPMCALLBACK_INST_OPEN_FILE, 0, 0);
    int fd = -1;

    if (file == NULL)
        return -1;
    if (!Ferror(file))
        fd = fcntl(Fileno(file), F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR);
    rpmtsNotify(ts, te, RPMCALLBACK_INST_CLOSE_FILE, 0, 0);
    return fd;
}

static int present(struct gate *gate, rpmts ts, rpmte te, struct judged *judged)
{
    int fd = open_element(ts, te), rc = 0;
    rpmtsi removals;

    if (fd < 0 || fstat(fd, &judged->file) != 0)
        return refuse("%s: rpm cannot open it", rpmteNEVRA(te));
    /* rpm took what to erase from a header that the front end read before now, of whatever file lay there then. */
    removals = rpmtsiInit(ts);
    for (rpmte one; rc == 0 && (one = rpmtsiNext(removals, TR_REMOVED)) != NULL;)
        rc = rpmteDependsOn(one) == te ? say(gate, rpmteNEVRA(one), -1) : 0;
    rpmtsiFree(removals);
    rc = rc == 0 ? say(gate, rpmteNEVRA(te), fd) : rc;
    close(fd);
    if (rc != 0 || hear(gate, "H") != 0)
        return -1;
    if (strlen(gate->answer) != DIGEST_HEX + 1)
        return refuse(NONSENSE);
    judged->te = te;
    memcpy(judged->digest, gate->answer + 1, DIGEST_HEX + 1);
    return 0;
}

static int judge(struct gate *gate, rpmts ts, size_t count)
{
    rpmtsi elements;
    rpmte te;
    char greeting[64];
    int rc = 0;

    if ((gate->judged = calloc(count, sizeof(*gate->judged))) == NULL)
        return refuse("no memory");
    snprintf(greeting, sizeof(greeting), "multisig-check 1 %zu %x", count, (unsigned)rpmtsFlags(ts));
    if (start(gate) != 0 || say(gate, greeting, -1) != 0)
        return -1;
    elements = rpmtsiInit(ts);
    while (rc == 0 && (te = rpmtsiNext(elements, TR_ADDED)) != NULL) {
        rc = gate->count < count ? present(gate, ts, te, &gate->judged[gate->count]) : refuse("too many packages");
        gate->count += rc == 0;
    }
    rpmtsiFree(elements);
    if (rc != 0 || hear(gate, "AWR") != 0)
        return -1;
    gate->state = gate->answer[0] == 'A' ? COMPARING : gate->answer[0] == 'W' ? WARNING : OUTSIDE;
    if (gate->answer[1] != '\0')
        rpmlog(gate->state == COMPARING ? RPMLOG_INFO : RPMLOG_ERR, "%s\n", gate->answer + 1);
    return gate->state == OUTSIDE ? -1 : 0;
}

/* Comparing what goes in with what was judged */

/* The SHA-256 of the header's immutable region as it stands in the file, magic included; 0 if it can be had. */
static int header_digest(Header header, char *hex)
{
    static const unsigned char magic[] = {0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0};
    struct rpmtd_s region;
    void *digest = NULL;
    size_t length = 0;
    DIGEST_CTX context;
    int rc = -1;

    if (!headerGet(header, RPMTAG_HEADERIMMUTABLE, &region, HEADERGET_DEFAULT))
        return -1;
    context = region.type == RPM_BIN_TYPE ? rpmDigestInit(RPM_HASH_SHA256, RPMDIGEST_NONE) : NULL;
    if (context != NULL && rpmDigestUpdate(context, magic, sizeof(magic)) == 0 &&
        rpmDigestUpdate(context, region.data, region.count) == 0 &&
        rpmDigestFinal(context, &digest, &length, 1) == 0 && digest != NULL && strlen(digest) == DIGEST_HEX) {
        memcpy(hex, digest, DIGEST_HEX + 1);
        rc = 0;
    }
    free(digest);
    rpmtdFreeData(&region);
    return rc;
}

/* Whether the file, as it was, is open here now: while librpm installs a package it holds its file open. */
static int is_open(const struct stat *file)
{
    struct stat now;

    for (int fd = 0, limit = getdtablesize(); fd < limit && fd < MOST_DESCRIPTORS; fd++)
        if (fstat(fd, &now) == 0 && now.st_dev == file->st_dev && now.st_ino == file->st_ino &&
            now.st_ctim.tv_sec == file->st_ctim.tv_sec && now.st_ctim.tv_nsec == file->st_ctim.tv_nsec)
            return 1;
    return 0;
}

/* After a package has gone in, librpm takes its header from the database, and the file is not open any more. */
static int is_as_judged(const struct judged *judged, Header header)
{
    char digest[DIGEST_HEX + 1];

    if (header_digest(header, digest) == 0 && strcmp(digest, judged->digest) == 0 &&
        (rpmteDBInstance(judged->te) != 0 || is_open(&judged->file)))
        return 1;
    rpmlog(RPMLOG_ERR, "multisig: %s is not what was judged; it is not installed\n", rpmteNEVRA(judged->te));
    return 0;
}

/* The hooks */

static rpmRC multisig_init(rpmPlugin plugin, rpmts ts)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    (void)ts;
    if (gate == NULL)
        return RPMRC_FAIL;
    gate->socket = -1;
    rpmPluginSetData(plugin, gate);
    return RPMRC_OK;
}

static void multisig_cleanup(rpmPlugin plugin)
{
    struct gate *gate = rpmPluginGetData(plugin);

    if (gate != NULL)
        end(gate, 0);
    free(gate);
    rpmPluginSetData(plugin, NULL);
}

static rpmRC multisig_tsm_pre(rpmPlugin plugin, rpmts ts)
{
    struct gate *gate = rpmPluginGetData(plugin);
    rpmtsi elements = rpmtsiInit(ts);
    size_t count = 0;

    while (rpmtsiNext(elements, TR_ADDED) != NULL)
        count++;
    rpmtsiFree(elements);
    end(gate, 0);
    if (count == 0 || (rpmtsFlags(ts) & RPMTRANS_FLAG_TEST) || judge(gate, ts, count) == 0)
        return RPMRC_OK;
    end(gate, 0);
    return RPMRC_FAIL;
}

static rpmRC multisig_tsm_post(rpmPlugin plugin, rpmts ts, int res)
{
    struct gate *gate = rpmPluginGetData(plugin);

    (void)ts;
    if (res == 0 && gate->socket >= 0)
        (void)send(gate->socket, "finished", strlen("finished"), MSG_NOSIGNAL);
    end(gate, 1);
    return RPMRC_OK;
}

static rpmRC multisig_psm_pre(rpmPlugin plugin, rpmte te)
{
    const struct gate *gate = rpmPluginGetData(plugin);
    Header header = rpmteHeader(te);
    int known = rpmteType(te) != TR_ADDED || gate->state == WARNING;

    for (size_t i = 0; !known && gate->state == COMPARING && header != NULL && i < gate->count; i++)
        known = gate->judged[i].te == te && is_as_judged(&gate->judged[i], header);
    headerFree(header);
    return known ? RPMRC_OK : RPMRC_FAIL;
}

/* From 4.20 on librpm runs %pretrans without psm_pre. Only the element at work has its header loaded. */
static rpmRC multisig_scriptlet_pre(rpmPlugin plugin, const char *s_name, int type)
{
    const struct gate *gate = rpmPluginGetData(plugin);
    int known = 1;

    (void)s_name, (void)type;
    for (size_t i = 0; known && gate->state == COMPARING && i < gate->count; i++) {
        Header header = rpmteHeader(gate->judged[i].te);

        known = header == NULL || is_as_judged(&gate->judged[i], header);
        headerFree(header);
    }
    return known ? RPMRC_OK : RPMRC_FAIL;
}

/* librpm looks for this name. */
extern struct rpmPluginHooks_s multisig_hooks;
__attribute__((visibility("default"))) struct rpmPluginHooks_s multisig_hooks = {
    .init = multisig_init,
    .cleanup = multisig_cleanup,
    .tsm_pre = multisig_tsm_pre,
    .tsm_post = multisig_tsm_post,
    .psm_pre = multisig_psm_pre,
    .scriptlet_pre = multisig_scriptlet_pre,
};
