package httpapi

import (
	"fmt"
	"net"
)

// peerUID returns the user ID of the process at the other end.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("look at the socket: %w", err)
	}
	var uid int
	var asked error
	if err := raw.Control(func(fd uintptr) { uid, asked = peerOf(int(fd)) }); err != nil {
		return 0, fmt.Errorf("look at the socket: %w", err)
	}
	if asked != nil {
		return 0, fmt.Errorf("ask who is at the socket: %w", asked)
	}
	return uid, nil
}
