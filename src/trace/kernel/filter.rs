//! Seccomp filter: the classic BPF program that selects the system calls to stop.

use super::syscalls::{ADDRESS_POINTER_ARGS, AUDIT_ARCH, EMPTY_PATH_FLAG_ARGS, X32_SYSCALL_BIT, traced_syscalls};

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BpfInstruction {
    opcode: u16,
    jump_if_true: u8,
    jump_if_false: u8,
    operand: u32,
}

const LOAD: u16 = 0x20; // a word of `struct seccomp_data`
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_ANY: u16 = 0x45;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;

const SYSCALL_NUMBER_OFFSET: u32 = 0; // offsets in `struct seccomp_data`
const ARCH_OFFSET: u32 = 4;
const ARGUMENTS_OFFSET: u32 = 16;
const SIXTH_ARGUMENT_OFFSET: u32 = ARGUMENTS_OFFSET + 8 * 5; // of the traced calls, only `sendto` has six arguments

const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_NOTIFY: u32 = 0x7fc0_0000;

/// Builds the filter as bytes in the kernel's layout.
///
/// Calls of another architecture are stopped too: they cannot be inspected, so the trace is marked incomplete. A call with
/// `cookie` in its sixth argument is not stopped: the preload library has recorded it.
pub(super) fn build_filter(cookie: Option<u64>) -> Vec<u8> {
    filter_instructions(cookie).iter().flat_map(|step| step.to_bytes()).collect()
}

impl BpfInstruction {
    fn to_bytes(self) -> [u8; 8] {
        let (opcode, operand) = (self.opcode.to_ne_bytes(), self.operand.to_ne_bytes());
        [opcode[0], opcode[1], self.jump_if_true, self.jump_if_false, operand[0], operand[1], operand[2], operand[3]]
    }
}

fn filter_instructions(cookie: Option<u64>) -> Vec<BpfInstruction> {
    let step =
        |opcode, jump_if_true, jump_if_false, operand| BpfInstruction { opcode, jump_if_true, jump_if_false, operand };
    let notify = step(RETURN, 0, 0, RETURN_NOTIFY);
    // Jumps to the end, where the cookie is checked; the distance is filled in once the program is complete.
    let check_cookie = step(JUMP, 0, 0, 0);
    let mut steps = vec![
        step(LOAD, 0, 0, ARCH_OFFSET),
        step(IF_EQUAL, 1, 0, AUDIT_ARCH),
        notify,
        step(LOAD, 0, 0, SYSCALL_NUMBER_OFFSET),
        step(IF_AT_LEAST, 0, 1, X32_SYSCALL_BIT),
        notify,
    ];
    for (number, flags_argument) in EMPTY_PATH_FLAG_ARGS {
        let offset = ARGUMENTS_OFFSET + 8 * u32::try_from(*flags_argument).unwrap_or(0) + low_word_offset();
        steps.extend([
            step(IF_EQUAL, 0, 4, u32::try_from(*number).unwrap_or(u32::MAX)),
            step(LOAD, 0, 0, offset),
            step(IF_ANY, 0, 1, libc::AT_EMPTY_PATH.cast_unsigned()),
            step(RETURN, 0, 0, RETURN_ALLOW),
            check_cookie,
        ]);
    }
    for (number, pointer_argument) in ADDRESS_POINTER_ARGS {
        let offset = ARGUMENTS_OFFSET + 8 * u32::try_from(*pointer_argument).unwrap_or(0);
        steps.extend([
            step(IF_EQUAL, 0, 6, u32::try_from(*number).unwrap_or(u32::MAX)),
            step(LOAD, 0, 0, offset),
            step(IF_EQUAL, 0, 3, 0),
            step(LOAD, 0, 0, offset + 4),
            step(IF_EQUAL, 0, 1, 0),
            step(RETURN, 0, 0, RETURN_ALLOW),
            notify,
        ]);
    }
    let is_checked = |number: u32| {
        let mut checked = EMPTY_PATH_FLAG_ARGS.iter().chain(ADDRESS_POINTER_ARGS);
        checked.any(|(known, _)| u32::try_from(*known) == Ok(number))
    };
    for (number, _) in traced_syscalls().filter(|(number, _)| !is_checked(*number)) {
        steps.extend([step(IF_EQUAL, 0, 1, number), check_cookie]);
    }
    steps.push(step(RETURN, 0, 0, RETURN_ALLOW));
    let end = steps.len();
    for (at, step) in steps.iter_mut().enumerate().filter(|(_, step)| step.opcode == JUMP) {
        step.operand = u32::try_from(end - at - 1).unwrap_or(0);
    }
    if let Some(cookie) = cookie {
        let (low, high) = ((cookie & 0xffff_ffff) as u32, (cookie >> 32) as u32);
        steps.extend([
            step(LOAD, 0, 0, SIXTH_ARGUMENT_OFFSET + low_word_offset()),
            step(IF_EQUAL, 0, 3, low),
            step(LOAD, 0, 0, SIXTH_ARGUMENT_OFFSET + 4 - low_word_offset()),
            step(IF_EQUAL, 0, 1, high),
            step(RETURN, 0, 0, RETURN_ALLOW),
        ]);
    }
    steps.push(notify);
    steps
}

/// Returns the offset of the lower half of a 64-bit argument.
fn low_word_offset() -> u32 {
    if cfg!(target_endian = "little") { 0 } else { 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interprets the program for a call, following the BPF rules.
    fn filter_action(arch: u32, number: u32, flags: u64) -> u32 {
        filter_action_with_cookie(None, arch, number, flags, 0)
    }

    fn filter_action_with_cookie(cookie: Option<u64>, arch: u32, number: u32, flags: u64, sixth: u64) -> u32 {
        let steps = filter_instructions(cookie);
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let step = steps[at];
            at += 1;
            let jump = |condition: bool| usize::from(if condition { step.jump_if_true } else { step.jump_if_false });
            match step.opcode {
                LOAD => {
                    accumulator = match step.operand {
                        SYSCALL_NUMBER_OFFSET => number,
                        ARCH_OFFSET => arch,
                        at if at == SIXTH_ARGUMENT_OFFSET + low_word_offset() => {
                            u32::try_from(sixth & 0xffff_ffff).unwrap()
                        }
                        at if at == SIXTH_ARGUMENT_OFFSET + 4 - low_word_offset() => {
                            u32::try_from(sixth >> 32).unwrap()
                        }
                        // The lower half of the flags or of the pointer; the upper half of the pointer is zero.
                        at if (at - ARGUMENTS_OFFSET) % 8 == low_word_offset() => u32::try_from(flags).unwrap(),
                        _ => 0,
                    }
                }
                IF_EQUAL => at += jump(accumulator == step.operand),
                IF_AT_LEAST => at += jump(accumulator >= step.operand),
                IF_ANY => at += jump(accumulator & step.operand != 0),
                JUMP => at += usize::try_from(step.operand).unwrap(),
                _ => return step.operand,
            }
        }
    }

    #[test]
    fn only_calls_with_paths_are_stopped() {
        let number = |call: libc::c_long| u32::try_from(call).unwrap();
        assert_eq!(filter_action(AUDIT_ARCH, number(libc::SYS_read), 0), RETURN_ALLOW);
        assert_eq!(filter_action(AUDIT_ARCH, number(libc::SYS_openat), 0), RETURN_NOTIFY);
        assert_eq!(filter_action(AUDIT_ARCH, number(libc::SYS_newfstatat), 0), RETURN_NOTIFY);
        assert_eq!(
            filter_action(AUDIT_ARCH, number(libc::SYS_newfstatat), 0x1000),
            RETURN_ALLOW,
            "an open file's metadata"
        );
        assert_eq!(filter_action(AUDIT_ARCH, number(libc::SYS_statx), 0x1000 | 0x100), RETURN_ALLOW);
        assert_eq!(filter_action(AUDIT_ARCH, number(libc::SYS_io_uring_setup), 0), RETURN_NOTIFY);
        assert_eq!(filter_action(0x4000_0003, number(libc::SYS_read), 0), RETURN_NOTIFY, "a 32-bit program");
        assert_eq!(filter_action(AUDIT_ARCH, X32_SYSCALL_BIT | 3, 0), RETURN_NOTIFY, "an x32 program");
        assert_eq!(filter_action(AUDIT_ARCH, number(libc::SYS_sendto), 0), RETURN_ALLOW, "without an address");
        let has_address = |number| ADDRESS_POINTER_ARGS.iter().any(|(known, _)| u32::try_from(*known) == Ok(number));
        for (number, _) in traced_syscalls() {
            let pointer = if has_address(number) { 0x7000 } else { 0 };
            assert_eq!(filter_action(AUDIT_ARCH, number, pointer), RETURN_NOTIFY);
        }
        assert_eq!(build_filter(None).len(), filter_instructions(None).len() * 8);
    }

    #[test]
    fn a_recorded_call_is_not_stopped() {
        let cookie = 0x8123_4567_89ab_cdef;
        let action = |number: libc::c_long, flags, sixth| {
            filter_action_with_cookie(Some(cookie), AUDIT_ARCH, u32::try_from(number).unwrap(), flags, sixth)
        };
        for call in [libc::SYS_openat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_readlinkat] {
            assert_eq!(action(call, 0, cookie), RETURN_ALLOW);
            assert_eq!(action(call, 0, cookie ^ 1), RETURN_NOTIFY);
            assert_eq!(action(call, 0, cookie ^ 1 << 40), RETURN_NOTIFY);
            assert_eq!(
                filter_action_with_cookie(None, AUDIT_ARCH, u32::try_from(call).unwrap(), 0, cookie),
                RETURN_NOTIFY
            );
        }
        assert_eq!(action(libc::SYS_read, 0, 0), RETURN_ALLOW);
        assert_eq!(
            filter_action_with_cookie(Some(cookie), 0x4000_0003, 5, 0, cookie),
            RETURN_NOTIFY,
            "a 32-bit program"
        );
    }
}
