//go:build unix && !linux

package socket

func untold(o op, fd uintptr, b []byte) (int, error) { return told(o, fd, b) }
