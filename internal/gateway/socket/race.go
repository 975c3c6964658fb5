//go:build race

package socket

// raced says that the race detector is to see system calls: it takes what is
// written to a socket to happen before what is read from one.
const raced = true
