// Package system tries greenroom as a whole: the real program with real
// services behind it, over real sockets, killed where that is the question.
//
// It holds tests only. harness_test.go starts and watches one greenroom with a
// state folder of its own; service is what the fleets consist of. Every test
// asserts what is true of the world afterwards: what requests were answered,
// which processes live, what the event log says. What a single package can show
// is tested there instead.
//
// Start at TestMain and newSystem.
package system
