package local

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/greenroom-dev/greenroom/internal/process"
)

// listeningPorts returns the TCP ports on which processes of that session
// listen, ascending. The session of an instance is led by its shim.
func listeningPorts(session int) []int {
	byInode := listeningInodes()
	var ports []int
	pids, err := process.InSession(session)
	if err != nil {
		return nil // a hint is missing
	}
	for _, pid := range pids {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, link := range links {
			to, err := os.Readlink(link)
			if err != nil {
				continue
			}
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				if port, ok := byInode[strings.TrimSuffix(inode, "]")]; ok {
					ports = append(ports, port)
				}
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func listeningInodes() map[string]int {
	const listen = "0A"
	found := make(map[string]int)
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != listen {
				continue
			}
			_, hex, _ := strings.Cut(fields[1], ":")
			if port, err := strconv.ParseUint(hex, 16, 16); err == nil {
				found[fields[9]] = int(port)
			}
		}
		_ = f.Close()
	}
	return found
}
