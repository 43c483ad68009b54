# Runs a command to which the kernel refuses some calls, as older ones do:
# refuse.py CALL,CALL… COMMAND…
import ctypes, os, platform, struct, sys

LD, JEQ, AND, RET = 0x20, 0x15, 0x54, 0x06
NR, ARG0, ARG1, ARG2 = 0, 16, 24, 32
ioctl, socket = (16, 41) if platform.machine() == "x86_64" else (29, 198)
pidfd_open, ENOSYS, ENOTTY, EPROTONOSUPPORT = 434, 38, 25, 93

calls = {
    "pidfd_open": (ENOSYS, [(NR, pidfd_open)]),
    "pidfd_info": (ENOTTY, [(NR, ioctl), (ARG1, 0xFF0B)]),
    "connector": (EPROTONOSUPPORT, [(NR, socket), (ARG0, 16), (ARG2, 11)]),
}
program = []
for name in sys.argv[1].split(","):
    errno, tests = calls[name]
    for i, (at, value) in enumerate(tests):
        # Each test that fails jumps over the rest of the rule.
        program += [(LD, 0, 0, at), (AND, 0, 0, 0xFFFF), (JEQ, 0, 3 * (len(tests) - i - 1) + 1, value)]
    program.append((RET, 0, 0, 0x00050000 | errno))
program.append((RET, 0, 0, 0x7FFF0000))

code = b"".join(struct.pack("HBBI", *i) for i in program)
buffer = ctypes.create_string_buffer(code)
fprog = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(fprog), 0, 0):
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
