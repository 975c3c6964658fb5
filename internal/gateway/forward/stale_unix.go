//go:build unix

package forward

import (
	"net"
	"syscall"
)

// peerClosed reports whether the other side has closed a connection and nothing
// is left to read. It does not wait, nor take what is there from the reader.
func peerClosed(c net.Conn) bool {
	raw, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	// Control, unlike Read, does not wait for a reader that is under way.
	control, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	err = control.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = n == 0 && err == nil || err == syscall.ECONNRESET || err == syscall.EPIPE
	})
	return closed && err == nil
}
