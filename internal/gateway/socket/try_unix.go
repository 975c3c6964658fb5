//go:build unix

package socket

import "syscall"

// op is one of the two things that are tried.
type op bool

const (
	read  op = false
	write op = true
)

// try reads or writes once, and does not wait: the error is EAGAIN where it
// would have to.
func try(o op, fd uintptr, b []byte) (int, error) {
	for {
		n, err := once(o, fd, b)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

func once(o op, fd uintptr, b []byte) (int, error) {
	if !raced {
		return untold(o, fd, b)
	}
	return told(o, fd, b)
}

func told(o op, fd uintptr, b []byte) (int, error) {
	if o == write {
		return syscall.Write(int(fd), b)
	}
	return syscall.Read(int(fd), b)
}
