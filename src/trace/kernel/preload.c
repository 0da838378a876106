/*
 * Preload library of traced programs (LD_PRELOAD): records read-only file calls in memory shared with noxide, so that the
 * kernel need not stop each of them.
 *
 * A recorded call passes a cookie in its sixth argument, which none of these calls uses; the filter lets it continue.
 * A call that cannot be recorded is made as usual and stopped by the kernel: calls of programs without this library,
 * of static programs, with a full ring, or with a path relative to an open directory. Nothing here waits, allocates or
 * calls a C library, so that it works in signal handlers, after fork and vfork, and with any C library.
 *
 * The memory layout is defined in `preload_ring.rs`.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

enum { SLOT_COUNT = 1024, SLOT_SIZE = 512, PATH_OFFSET = 12, SLOTS_OFFSET = 4096, RING_SIZE = SLOTS_OFFSET + SLOT_COUNT * SLOT_SIZE };
enum { COOKIE = 0, GENERATION = 8, HEAD = 64, TAIL = 128 };
enum { STATE = 0, LENGTH = 4, KIND = 6, INSTALL = 7, FLAGS = 8, FREE = 0, READY = 1 };
enum { STAT = 1, STAT_LINK = 2, READ_LINK = 3, OPEN = 4 };
enum { MAX_PATH = SLOT_SIZE - PATH_OFFSET, SEEN_COUNT = 2048 };

/* The numbers of x86-64, the only processor this is built for. */
enum { SYS_close = 3, SYS_lseek = 8, SYS_mmap = 9, SYS_munmap = 11, SYS_getcwd = 79, SYS_openat = 257, SYS_newfstatat = 262,
       SYS_readlinkat = 267, SYS_faccessat = 269, SYS_statx = 332 };
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000 };
enum { O_ACCMODE = 3, O_RDWR = 2, O_CREAT = 0100, O_TRUNC = 01000, O_CLOEXEC = 02000000, O_TMPFILE = 020200000 };
enum { PROT_BOTH = 3, MAP_SHARED = 1, SEEK_END = 2 };

#define EXPORT __attribute__((visibility("default")))

extern int *__errno_location(void);
extern char **environ __attribute__((weak));

/* The mapped ring; 1 if this program has none. */
static char *memory;
/* Whether this program is part of an install. */
static u8 installs;
/* Digests of recently recorded events, to avoid duplicates. Threads may overwrite each other's entries. */
static u64 seen[SEEN_COUNT];

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static long set_errno(long result)
{
	if ((u64)result > -4096UL) {
		*__errno_location() = (int)-result;
		return -1;
	}
	return result;
}

/* Parses digits of this base and advances `text` past them. */
static u64 parse_number(const char **text, u64 base)
{
	u64 value = 0;

	for (;; (*text)++) {
		char sign = **text;
		u64 digit = sign >= '0' && sign <= '9' ? (u64)(sign - '0') : sign >= 'a' && sign <= 'f' ? (u64)(sign - 'a' + 10) : 99;

		if (digit >= base)
			return value;
		value = value * base + digit;
	}
}

/* Returns the value of an environment variable, or 0. */
static const char *get_env(const char *name)
{
	char **at = &environ ? environ : 0;

	for (; at && *at; at++) {
		u64 same = 0;

		while (name[same] && (*at)[same] == name[same])
			same++;
		if (!name[same] && (*at)[same] == '=')
			return *at + same + 1;
	}
	return 0;
}

/* Maps the memory named by `NOXIDE_TRACE_RING=<cookie in hexadecimal>:<path>`; returns 1 if that is not possible. */
static char *map_ring(void)
{
	const char *value = get_env("NOXIDE_TRACE_RING");
	u64 cookie;
	long fd, mapping, size;

	if (!value)
		return (char *)1;
	cookie = parse_number(&value, 16);
	if (*value++ != ':' || !cookie)
		return (char *)1;
	fd = call(SYS_openat, AT_FDCWD, (long)value, O_RDWR | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return (char *)1;
	size = call(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0);
	mapping = size == RING_SIZE ? call(SYS_mmap, 0, RING_SIZE, PROT_BOTH, MAP_SHARED, fd, 0) : -1;
	call(SYS_close, fd, 0, 0, 0, 0, 0);
	if ((u64)mapping > -4096UL)
		return (char *)1;
	/* In another PID namespace (a container) the path may refer to another file. */
	if (*(u64 *)(mapping + COOKIE) != cookie) {
		call(SYS_munmap, mapping, RING_SIZE, 0, 0, 0, 0);
		return (char *)1;
	}
	value = get_env("NOXIDE_TRACE_PHASE");
	installs = value && *value == 'i';
	return (char *)mapping;
}

/* Returns the ring, or 0 if there is none or the environment is not set up yet. */
static char *ring(void)
{
	char *mapped = __atomic_load_n(&memory, __ATOMIC_ACQUIRE);

	if (!mapped) {
		char *before = 0;

		if (!&environ || !environ)
			return 0;
		mapped = map_ring();
		/* If two threads map it at the same time, one mapping is discarded. */
		if (!__atomic_compare_exchange_n(&memory, &before, mapped, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			if (mapped != (char *)1)
				call(SYS_munmap, (long)mapped, RING_SIZE, 0, 0, 0, 0);
			mapped = before;
		}
	}
	return mapped == (char *)1 ? 0 : mapped;
}

/* Returns whether a string of this length starts with `with`. */
static int starts_with(const char *text, u64 length, const char *with)
{
	u64 at = 0;

	while (with[at] && at < length && text[at] == with[at])
		at++;
	return !with[at];
}

/* Returns whether `..` leads to the root or directly below it, from where per-process paths are reachable. */
static int leads_to_root(const char *path, u64 length)
{
	u64 depth = 0, at = 0;

	while (at < length) {
		u64 begin = ++at, size;

		while (at < length && path[at] != '/')
			at++;
		size = at - begin;
		if (size == 2 && path[begin] == '.' && path[begin + 1] == '.') {
			if (depth <= 2)
				return 1;
			depth--;
		} else if (size > 1 || (size == 1 && path[begin] != '.')) {
			depth++;
		}
	}
	return 0;
}

/* Writes the absolute path, links unresolved, and returns its length; 0 if the call must be stopped instead. */
static u64 absolute_path(const char *path, char *buffer)
{
	u64 length = 0, at = 0;
	int up = 0;

	if (*path != '/') {
		long folder = call(SYS_getcwd, (long)buffer, MAX_PATH, 0, 0, 0, 0);

		if (folder < 2 || *buffer != '/')
			return 0;
		length = (u64)folder - 1;
		buffer[length++] = '/';
	}
	for (; path[at]; at++) {
		if (length >= MAX_PATH - 1)
			return 0;
		up |= path[at] == '.' && path[at + 1] == '.' && buffer[length - 1] == '/';
		buffer[length++] = path[at];
	}
	/* Paths below /proc and /dev may differ per process (/proc/self, /dev/stdin). Projects may lie in /dev/shm. */
	if (up && leads_to_root(buffer, length))
		return 0;
	if (starts_with(buffer, length, "/dev/shm/"))
		return length;
	return starts_with(buffer, length, "/proc/") || starts_with(buffer, length, "/dev/") ? 0 : length;
}

/* Writes an event into a free slot; returns 0 if the ring is full. */
static int push(char *shared, const char *path, u64 length, u32 kind, u32 flags)
{
	u64 *head = (u64 *)(shared + HEAD), *tail = (u64 *)(shared + TAIL);
	u64 mine = __atomic_load_n(head, __ATOMIC_RELAXED), at;
	char *slot;

	do {
		if (mine - __atomic_load_n(tail, __ATOMIC_ACQUIRE) >= SLOT_COUNT)
			return 0;
	} while (!__atomic_compare_exchange_n(head, &mine, mine + 1, 1, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	slot = shared + SLOTS_OFFSET + (mine % SLOT_COUNT) * SLOT_SIZE;
	*(u16 *)(slot + LENGTH) = (u16)length;
	*(u8 *)(slot + KIND) = (u8)kind;
	*(u8 *)(slot + INSTALL) = installs;
	*(u32 *)(slot + FLAGS) = flags;
	for (at = 0; at < length; at++)
		slot[PATH_OFFSET + at] = path[at];
	__atomic_store_n((u32 *)(slot + STATE), READY, __ATOMIC_RELEASE);
	return 1;
}

/* Records an access and returns the cookie that makes the call pass the filter; 0 if the kernel must stop the call. */
static long record(const char *path, u32 kind, u32 flags)
{
	char *shared = ring();
	char text[MAX_PATH];
	u64 length, at, digest, *entry;

	if (!shared || !path || !*path)
		return 0;
	length = absolute_path(path, text);
	if (!length)
		return 0;
	digest = 0xcbf29ce484222325UL ^ kind ^ ((u64)flags << 8);
	digest ^= (u64)__atomic_load_n((u32 *)(shared + GENERATION), __ATOMIC_ACQUIRE) << 40;
	for (at = 0; at < length; at++)
		digest = (digest ^ (u8)text[at]) * 0x100000001b3UL;
	digest ^= digest >> 29;
	entry = &seen[digest % SEEN_COUNT];
	if (__atomic_load_n(entry, __ATOMIC_RELAXED) != digest) {
		if (!push(shared, text, length, kind, flags))
			return 0;
		__atomic_store_n(entry, digest, __ATOMIC_RELAXED);
	}
	return *(long *)(shared + COOKIE);
}

static int is_working_dir(int folder, const char *path)
{
	return folder == AT_FDCWD || (path && *path == '/');
}

static int do_open(int folder, const char *path, int flags, u32 mode)
{
	int reads = !(flags & (O_ACCMODE | O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE;
	long cookie = reads && is_working_dir(folder, path) ? record(path, OPEN, (u32)flags) : 0;

	return (int)set_errno(call(SYS_openat, folder, (long)path, flags, mode, 0, cookie));
}

static int do_stat(int folder, const char *path, void *metadata, int flags)
{
	u32 kind = flags & AT_SYMLINK_NOFOLLOW ? STAT_LINK : STAT;
	long cookie = is_working_dir(folder, path) && !(flags & AT_EMPTY_PATH) ? record(path, kind, 0) : 0;

	return (int)set_errno(call(SYS_newfstatat, folder, (long)path, (long)metadata, flags, 0, cookie));
}

#define MODE(flags, mode)                                                     \
	do {                                                                  \
		if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
			__builtin_va_list rest;                               \
			__builtin_va_start(rest, flags);                      \
			mode = __builtin_va_arg(rest, u32);                   \
			__builtin_va_end(rest);                               \
		}                                                             \
	} while (0)

EXPORT int open(const char *path, int flags, ...)
{
	u32 mode = 0;

	MODE(flags, mode);
	return do_open(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
	u32 mode = 0;

	MODE(flags, mode);
	return do_open(folder, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...) __attribute__((alias("open")));
EXPORT int openat64(int folder, const char *path, int flags, ...) __attribute__((alias("openat")));

/* Called by programs built with _FORTIFY_SOURCE that pass no mode. */
EXPORT int __open_2(const char *path, int flags)
{
	return do_open(AT_FDCWD, path, flags, 0);
}

EXPORT int __openat_2(int folder, const char *path, int flags)
{
	return do_open(folder, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));
EXPORT int __openat64_2(int folder, const char *path, int flags) __attribute__((alias("__openat_2")));

EXPORT int stat(const char *path, void *metadata)
{
	return do_stat(AT_FDCWD, path, metadata, 0);
}

EXPORT int lstat(const char *path, void *metadata)
{
	return do_stat(AT_FDCWD, path, metadata, AT_SYMLINK_NOFOLLOW);
}

EXPORT int fstatat(int folder, const char *path, void *metadata, int flags)
{
	return do_stat(folder, path, metadata, flags);
}

EXPORT int stat64(const char *path, void *metadata) __attribute__((alias("stat")));
EXPORT int lstat64(const char *path, void *metadata) __attribute__((alias("lstat")));
EXPORT int fstatat64(int folder, const char *path, void *metadata, int flags) __attribute__((alias("fstatat")));

/* Called by programs built with glibc before 2.33; the version selects the struct stat, which is always the same here. */
EXPORT int __xstat(int version, const char *path, void *metadata)
{
	(void)version;
	return do_stat(AT_FDCWD, path, metadata, 0);
}

EXPORT int __lxstat(int version, const char *path, void *metadata)
{
	(void)version;
	return do_stat(AT_FDCWD, path, metadata, AT_SYMLINK_NOFOLLOW);
}

EXPORT int __fxstatat(int version, int folder, const char *path, void *metadata, int flags)
{
	(void)version;
	return do_stat(folder, path, metadata, flags);
}

EXPORT int __xstat64(int version, const char *path, void *metadata) __attribute__((alias("__xstat")));
EXPORT int __lxstat64(int version, const char *path, void *metadata) __attribute__((alias("__lxstat")));
EXPORT int __fxstatat64(int version, int folder, const char *path, void *metadata, int flags)
	__attribute__((alias("__fxstatat")));

EXPORT int statx(int folder, const char *path, int flags, u32 mask, void *metadata)
{
	u32 kind = flags & AT_SYMLINK_NOFOLLOW ? STAT_LINK : STAT;
	long cookie = is_working_dir(folder, path) && !(flags & AT_EMPTY_PATH) ? record(path, kind, 0) : 0;

	return (int)set_errno(call(SYS_statx, folder, (long)path, flags, mask, (long)metadata, cookie));
}

EXPORT int access(const char *path, int mode)
{
	return (int)set_errno(call(SYS_faccessat, AT_FDCWD, (long)path, mode, 0, 0, record(path, STAT, 0)));
}

EXPORT long readlink(const char *path, char *buffer, u64 room)
{
	long cookie = record(path, READ_LINK, 0);

	return set_errno(call(SYS_readlinkat, AT_FDCWD, (long)path, (long)buffer, (long)room, 0, cookie));
}
