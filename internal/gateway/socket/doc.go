// Package socket reads and writes the kernel's connections as the fast path of
// the gateway wants it: less for each message than net.Conn does. It owns what
// goes around net.Conn to the descriptor beneath, and imports nothing of ours.
// Connections of other kinds, such as those over TLS, are read and written by
// their own methods.
//
// A reader starts at [Conn].
//
// # What is left out
//
// Go tells its scheduler of each system call, since a call may take long: the
// processor is given to other goroutines meanwhile, and a thread of the runtime
// looks for such calls every 20 microseconds. A call on a socket that does not
// block is over before that, as a rule, but not on a machine where waking the
// other side is slow; then each such call costs a change of threads. So the
// scheduler is not told. A buffer's length bounds what one call does.
//
// Go tries to read before it waits. Where nothing can be there yet, that is a
// system call for nothing: [Conn.Ask] writes in its place. Where it must be,
// [Conn.ReadWith] makes the try with a buffer that is given back.
package socket
