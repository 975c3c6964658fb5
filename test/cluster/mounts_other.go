//go:build !linux

package cluster

import "errors"

var errNotLinux = errors.New("a cluster runs on Linux only")

func mountPoints() ([]string, error) { return nil, errNotLinux }

func unmountBelow(string) error { return errNotLinux }
