package socket

import (
	"syscall"
	"unsafe"
)

// untold makes a system call without telling Go's scheduler.
func untold(o op, fd uintptr, b []byte) (int, error) {
	call := uintptr(syscall.SYS_READ)
	if o == write {
		call = syscall.SYS_WRITE
	}
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EAGAIN: // without making an error of it
		return 0, syscall.EAGAIN
	}
	return 0, errno
}
