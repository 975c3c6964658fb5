//go:build !unix

package forward

import "net"

// peerClosed cannot tell here: the transport notices when it reads.
func peerClosed(net.Conn) bool { return false }

// peerSpoke cannot tell here either.
func peerSpoke(net.Conn) bool { return false }
