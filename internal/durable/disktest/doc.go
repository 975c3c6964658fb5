// Package disktest gives tests a small disk of their own, which they can fill:
// what is written there then fails as it does on a full disk.
//
// It mounts a file system in memory, which takes Linux and root; elsewhere the
// tests that ask for one are left out. It imports nothing of greenroom.
//
// Start at Mount.
package disktest
