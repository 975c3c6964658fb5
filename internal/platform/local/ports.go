package local

import (
	"fmt"
	"math/rand/v2"
	"net"

	"golang.org/x/sys/unix"
)

// Ports are drawn from below the range that Linux gives to outgoing
// connections, so that none of those takes a port between our choice and the
// service's bind, and from above the mesh's, which services that bind all
// addresses would be in the way of.
const (
	lowestPort  = 26000
	highestPort = 32767
)

// choosePort returns a port that is free on loopback and on all addresses (a
// service may bind either), and not among those taken.
func choosePort(taken map[int]string) (int, error) {
	for range 500 {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		if _, used := taken[port]; !used && portFree(port) {
			return port, nil
		}
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// portFree reports whether the port can be bound now. It binds without
// listening, so that nothing can connect meanwhile.
func portFree(port int) bool {
	return canBind(port, [4]byte{}) && canBind(port, [4]byte{127, 0, 0, 1})
}

func canBind(port int, addr [4]byte) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	unix.CloseOnExec(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return false
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: addr}) == nil
}
