/*
 * What a traced program is given beside itself (LD_PRELOAD): the calls by which programs only look at files, each noted
 * in memory that noxide shares with it instead of stopping the program until noxide has looked.
 *
 * A call that was noted goes to the kernel with a word in its sixth argument, which none of these calls uses; the filter
 * lets it pass. Whatever cannot be noted is called as ever, and the kernel stops at it: a program without this library,
 * a static one, a full memory, a path relative to an open folder. Nothing here waits, allocates or needs a C library,
 * so that it works in signal handlers, after fork and vfork, and beside any C library.
 *
 * The memory is laid out as `notes.rs` says.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

enum { SLOTS = 1024, SLOT = 512, TEXT = 12, FIRST = 4096, WHOLE = FIRST + SLOTS * SLOT };
enum { COOKIE = 0, GENERATION = 8, HEAD = 64, TAIL = 128 };
enum { STATE = 0, LENGTH = 4, KIND = 6, FLAGS = 8, FREE = 0, READY = 1 };
enum { STAT = 1, STAT_LINK = 2, READ_LINK = 3, OPEN = 4 };
enum { MOST = SLOT - TEXT, SEEN = 2048 };

/* The numbers of x86-64, the only processor this is built for. */
enum { SYS_close = 3, SYS_lseek = 8, SYS_mmap = 9, SYS_munmap = 11, SYS_getcwd = 79, SYS_openat = 257, SYS_newfstatat = 262,
       SYS_readlinkat = 267, SYS_faccessat = 269, SYS_statx = 332 };
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000 };
enum { O_ACCMODE = 3, O_RDWR = 2, O_CREAT = 0100, O_TRUNC = 01000, O_CLOEXEC = 02000000, O_TMPFILE = 020200000 };
enum { PROT_BOTH = 3, MAP_SHARED = 1, SEEK_END = 2 };

#define SHOWN __attribute__((visibility("default")))

extern int *__errno_location(void);
extern char **environ __attribute__((weak));

/* The shared memory once it is mapped; 1 where there is none for this program. */
static char *memory;
/* Digests of what was noted last: the same need not be said twice. Threads may overwrite each other's. */
static u64 seen[SEEN];

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

static long returned(long result)
{
	if ((u64)result > -4096UL) {
		*__errno_location() = (int)-result;
		return -1;
	}
	return result;
}

/* Reads digits of this base; leaves `text` behind them. */
static u64 number(const char **text, u64 base)
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

/* What follows `name=` in the environment. */
static const char *setting(const char *name)
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

/* Maps the memory that `NOXIDE_TRACE_RING=<cookie in hexadecimal>:<path>` names; 1 where that is not what it says. */
static char *map(void)
{
	const char *said = setting("NOXIDE_TRACE_RING");
	u64 cookie;
	long fd, place, size;

	if (!said)
		return (char *)1;
	cookie = number(&said, 16);
	if (*said++ != ':' || !cookie)
		return (char *)1;
	fd = call(SYS_openat, AT_FDCWD, (long)said, O_RDWR | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return (char *)1;
	size = call(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0);
	place = size == WHOLE ? call(SYS_mmap, 0, WHOLE, PROT_BOTH, MAP_SHARED, fd, 0) : -1;
	call(SYS_close, fd, 0, 0, 0, 0, 0);
	if ((u64)place > -4096UL)
		return (char *)1;
	/* Where processes have other numbers (a container's), the path may lead to another file. */
	if (*(u64 *)(place + COOKIE) != cookie) {
		call(SYS_munmap, place, WHOLE, 0, 0, 0, 0);
		return (char *)1;
	}
	return (char *)place;
}

/* The memory; none before the program has its environment, and where there is none. */
static char *notes(void)
{
	char *mapped = __atomic_load_n(&memory, __ATOMIC_ACQUIRE);

	if (!mapped) {
		char *before = 0;

		if (!&environ || !environ)
			return 0;
		mapped = map();
		/* Where two threads come first together, one's mapping goes. */
		if (!__atomic_compare_exchange_n(&memory, &before, mapped, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			if (mapped != (char *)1)
				call(SYS_munmap, (long)mapped, WHOLE, 0, 0, 0, 0);
			mapped = before;
		}
	}
	return mapped == (char *)1 ? 0 : mapped;
}

/* Whether a text of this length begins so. */
static int starts(const char *text, u64 length, const char *with)
{
	u64 at = 0;

	while (with[at] && at < length && text[at] == with[at])
		at++;
	return !with[at];
}

/* Whether `..` leads up to the root or right below it: from there to what each process has for itself. */
static int climbs(const char *path, u64 length)
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

/* The absolute path of `path`, links not resolved, with its length; 0 for what must be asked otherwise. */
static u64 whole(const char *path, char *into)
{
	u64 length = 0, at = 0;
	int up = 0;

	if (*path != '/') {
		long folder = call(SYS_getcwd, (long)into, MOST, 0, 0, 0, 0);

		if (folder < 2 || *into != '/')
			return 0;
		length = (u64)folder - 1;
		into[length++] = '/';
	}
	for (; path[at]; at++) {
		if (length >= MOST - 1)
			return 0;
		up |= path[at] == '.' && path[at + 1] == '.' && into[length - 1] == '/';
		into[length++] = path[at];
	}
	/* What is below them may mean another thing to each process: /proc/self, /dev/stdin. Projects lie in /dev/shm. */
	if (up && climbs(into, length))
		return 0;
	if (starts(into, length, "/dev/shm/"))
		return length;
	return starts(into, length, "/proc/") || starts(into, length, "/dev/") ? 0 : length;
}

/* Puts a note into a free slot; 0 where all are full. */
static int put(char *notes, const char *path, u64 length, u32 kind, u32 flags)
{
	u64 *head = (u64 *)(notes + HEAD), *tail = (u64 *)(notes + TAIL);
	u64 mine = __atomic_load_n(head, __ATOMIC_RELAXED), at;
	char *slot;

	do {
		if (mine - __atomic_load_n(tail, __ATOMIC_ACQUIRE) >= SLOTS)
			return 0;
	} while (!__atomic_compare_exchange_n(head, &mine, mine + 1, 1, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	slot = notes + FIRST + (mine % SLOTS) * SLOT;
	*(u16 *)(slot + LENGTH) = (u16)length;
	*(u8 *)(slot + KIND) = (u8)kind;
	*(u32 *)(slot + FLAGS) = flags;
	for (at = 0; at < length; at++)
		slot[TEXT + at] = path[at];
	__atomic_store_n((u32 *)(slot + STATE), READY, __ATOMIC_RELEASE);
	return 1;
}

/* Notes a look at a path: the word with which the call goes past the filter; 0 where the kernel is to stop at it. */
static long noted(const char *path, u32 kind, u32 flags)
{
	char *shared = notes();
	char text[MOST];
	u64 length, at, digest, *place;

	if (!shared || !path || !*path)
		return 0;
	length = whole(path, text);
	if (!length)
		return 0;
	digest = 0xcbf29ce484222325UL ^ kind ^ ((u64)flags << 8);
	digest ^= (u64)__atomic_load_n((u32 *)(shared + GENERATION), __ATOMIC_ACQUIRE) << 40;
	for (at = 0; at < length; at++)
		digest = (digest ^ (u8)text[at]) * 0x100000001b3UL;
	digest ^= digest >> 29;
	place = &seen[digest % SEEN];
	if (__atomic_load_n(place, __ATOMIC_RELAXED) != digest) {
		if (!put(shared, text, length, kind, flags))
			return 0;
		__atomic_store_n(place, digest, __ATOMIC_RELAXED);
	}
	return *(long *)(shared + COOKIE);
}

static int from_here(int folder, const char *path)
{
	return folder == AT_FDCWD || (path && *path == '/');
}

static int opened(int folder, const char *path, int flags, u32 mode)
{
	int reads = !(flags & (O_ACCMODE | O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE;
	long cookie = reads && from_here(folder, path) ? noted(path, OPEN, (u32)flags) : 0;

	return (int)returned(call(SYS_openat, folder, (long)path, flags, mode, 0, cookie));
}

static int asked(int folder, const char *path, void *facts, int flags)
{
	u32 kind = flags & AT_SYMLINK_NOFOLLOW ? STAT_LINK : STAT;
	long cookie = from_here(folder, path) && !(flags & AT_EMPTY_PATH) ? noted(path, kind, 0) : 0;

	return (int)returned(call(SYS_newfstatat, folder, (long)path, (long)facts, flags, 0, cookie));
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

SHOWN int open(const char *path, int flags, ...)
{
	u32 mode = 0;

	MODE(flags, mode);
	return opened(AT_FDCWD, path, flags, mode);
}

SHOWN int openat(int folder, const char *path, int flags, ...)
{
	u32 mode = 0;

	MODE(flags, mode);
	return opened(folder, path, flags, mode);
}

SHOWN int open64(const char *path, int flags, ...) __attribute__((alias("open")));
SHOWN int openat64(int folder, const char *path, int flags, ...) __attribute__((alias("openat")));

/* What programs call that were built with _FORTIFY_SOURCE and give no mode. */
SHOWN int __open_2(const char *path, int flags)
{
	return opened(AT_FDCWD, path, flags, 0);
}

SHOWN int __openat_2(int folder, const char *path, int flags)
{
	return opened(folder, path, flags, 0);
}

SHOWN int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));
SHOWN int __openat64_2(int folder, const char *path, int flags) __attribute__((alias("__openat_2")));

SHOWN int stat(const char *path, void *facts)
{
	return asked(AT_FDCWD, path, facts, 0);
}

SHOWN int lstat(const char *path, void *facts)
{
	return asked(AT_FDCWD, path, facts, AT_SYMLINK_NOFOLLOW);
}

SHOWN int fstatat(int folder, const char *path, void *facts, int flags)
{
	return asked(folder, path, facts, flags);
}

SHOWN int stat64(const char *path, void *facts) __attribute__((alias("stat")));
SHOWN int lstat64(const char *path, void *facts) __attribute__((alias("lstat")));
SHOWN int fstatat64(int folder, const char *path, void *facts, int flags) __attribute__((alias("fstatat")));

/* What programs call that were built with a C library before 2.33; the version says which struct stat, here always one. */
SHOWN int __xstat(int version, const char *path, void *facts)
{
	(void)version;
	return asked(AT_FDCWD, path, facts, 0);
}

SHOWN int __lxstat(int version, const char *path, void *facts)
{
	(void)version;
	return asked(AT_FDCWD, path, facts, AT_SYMLINK_NOFOLLOW);
}

SHOWN int __fxstatat(int version, int folder, const char *path, void *facts, int flags)
{
	(void)version;
	return asked(folder, path, facts, flags);
}

SHOWN int __xstat64(int version, const char *path, void *facts) __attribute__((alias("__xstat")));
SHOWN int __lxstat64(int version, const char *path, void *facts) __attribute__((alias("__lxstat")));
SHOWN int __fxstatat64(int version, int folder, const char *path, void *facts, int flags)
	__attribute__((alias("__fxstatat")));

SHOWN int statx(int folder, const char *path, int flags, u32 mask, void *facts)
{
	u32 kind = flags & AT_SYMLINK_NOFOLLOW ? STAT_LINK : STAT;
	long cookie = from_here(folder, path) && !(flags & AT_EMPTY_PATH) ? noted(path, kind, 0) : 0;

	return (int)returned(call(SYS_statx, folder, (long)path, flags, mask, (long)facts, cookie));
}

SHOWN int access(const char *path, int mode)
{
	return (int)returned(call(SYS_faccessat, AT_FDCWD, (long)path, mode, 0, 0, noted(path, STAT, 0)));
}

SHOWN long readlink(const char *path, char *into, u64 room)
{
	long cookie = noted(path, READ_LINK, 0);

	return returned(call(SYS_readlinkat, AT_FDCWD, (long)path, (long)into, (long)room, 0, cookie));
}
