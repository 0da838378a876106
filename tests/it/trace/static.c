/* A program without any library, as static Go programs are: writes its second argument to the file named by its first. */
static long call(long number, long a, long b, long c, long d) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#endif
}
#if defined(__x86_64__)
enum { WRITE = 1, EXIT = 60, OPENAT = 257 };
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#else
enum { WRITE = 64, EXIT = 93, OPENAT = 56 };
__asm__(".globl _start\n_start: mov x0, sp\n bl begin\n");
#endif
__attribute__((used)) void begin(long *stack) {
    char **argv = (char **)(stack + 1);
    long length = 0;
    long fd = call(OPENAT, -100, (long)argv[1], 01 | 0100 | 01000, 0644);
    while (argv[2][length]) length++;
    call(EXIT, call(WRITE, fd, (long)argv[2], length, 0) != length, 0, 0, 0);
}
