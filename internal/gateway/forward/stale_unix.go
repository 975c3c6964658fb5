//go:build unix

package forward

import (
	"net"
	"syscall"
)

// peerClosed reports whether the other side has closed a connection and nothing
// is left to read. It does not wait, nor take what is there from the reader.
func peerClosed(c net.Conn) bool {
	closed, _ := peer(c)
	return closed
}

// peerSpoke reports whether the other side has closed a connection, or has sent
// something that nobody has read. It does not wait.
func peerSpoke(c net.Conn) bool {
	closed, spoke := peer(c)
	return closed || spoke
}

// peer looks at what there is to be read: the end, or anything at all.
func peer(c net.Conn) (closed, spoke bool) {
	raw, ok := c.(syscall.Conn)
	if !ok {
		return false, false
	}
	// Control, unlike Read, does not wait for a reader that is under way.
	control, err := raw.SyscallConn()
	if err != nil {
		return false, false
	}
	err = control.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		spoke = n > 0
		closed = n == 0 && err == nil || err == syscall.ECONNRESET || err == syscall.EPIPE
	})
	return closed && err == nil, spoke && err == nil
}
