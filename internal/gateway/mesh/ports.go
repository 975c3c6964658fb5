package mesh

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net"
	"runtime"
	"slices"
	"strconv"
	"syscall"
)

// Listeners are opened below the ranges from which Linux and macOS take ports
// for outgoing connections, and those from which services get theirs, so that
// neither can be in the way after a restart.
const (
	firstPort = 16_000
	lastPort  = 25_999
)

const (
	maxHosts  = 32 // that are tried for one version
	conflicts = 8  // that are taken at a host before another host is tried
)

// statusName stands for the status listener among callees. No service has it.
const statusName = ""

// errCrowded is returned when too many ports of a host are in use.
var errCrowded = errors.New("too many ports are in use")

// ports chooses addresses and opens listeners. It is not safe for concurrent
// use.
type ports struct {
	seed      string
	shared    bool           // all versions share 127.0.0.1, since there is no other loopback address
	preferred map[string]int // by callee: where hosts are not shared, the same for all versions if possible
	taken     map[int]bool   // values of preferred
	next      int            // where to look for a port, from firstPort
}

func newPorts(seed string) *ports {
	p := &ports{
		seed:      seed,
		shared:    runtime.GOOS != "linux",
		preferred: make(map[string]int),
		taken:     make(map[int]bool),
	}
	p.next = int(p.hash("ports", 0) % (lastPort - firstPort + 1))
	return p
}

// opened are listeners that are not served yet.
type opened struct {
	addresses Addresses               // with those opened before
	listeners map[string]net.Listener // by callee, or statusName
}

func (o *opened) close() {
	for _, l := range o.listeners {
		l.Close()
	}
}

// open opens listeners for what is wanted (callees, statusName) and base does
// not name, at base's host or, if that is empty, at one that suits. If reopen,
// what base names is opened first, as it is.
func (p *ports) open(version string, base Addresses, reopen bool, wanted []string) (opened, error) {
	if base.Host != "" {
		return p.openAt(base, reopen, wanted, lastPort)
	}
	var o opened
	err := errCrowded
	for try := 0; try < maxHosts && errors.Is(err, errCrowded); try++ {
		o, err = p.openAt(Addresses{Host: p.host(version, try)}, false, wanted, conflicts)
	}
	return o, err
}

func (p *ports) openAt(base Addresses, reopen bool, wanted []string, patience int) (_ opened, err error) {
	o := opened{addresses: base.clone(), listeners: make(map[string]net.Listener)}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	if o.addresses.Ports == nil {
		o.addresses.Ports = make(map[string]int)
	}
	if reopen {
		for name, port := range base.all() {
			l, err := listen(base.Host, port)
			if err != nil {
				return o, fmt.Errorf("opening %s again, which running processes call: %w; end what uses it (`ss -ltnp`)", base.at(port), err)
			}
			o.listeners[name] = l
			p.prefer(name, port)
		}
	}
	for _, name := range wanted {
		if o.addresses.has(name) {
			continue
		}
		l, port, err := p.allocate(base.Host, name, &patience)
		if err != nil {
			return o, err
		}
		o.listeners[name] = l
		o.addresses.set(name, port)
	}
	return o, nil
}

// allocate opens a listener at the port that others of that name have, or else
// at one that nobody has.
func (p *ports) allocate(host, name string, patience *int) (net.Listener, int, error) {
	port, known := p.preferred[name]
	if !known || p.shared {
		port = p.unused()
	}
	for {
		l, err := listen(host, port)
		if err == nil {
			p.prefer(name, port)
			return l, port, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, 0, fmt.Errorf("opening %s: %w", net.JoinHostPort(host, strconv.Itoa(port)), err)
		}
		if *patience--; *patience < 0 {
			return nil, 0, fmt.Errorf("opening a port from %d to %d at %s: %w", firstPort, lastPort, host, errCrowded)
		}
		port = p.unused()
	}
}

// unused returns the next port that no name prefers. It comes round: when all
// are preferred by some name, binding tells.
func (p *ports) unused() int {
	for range lastPort - firstPort {
		port := firstPort + p.next
		p.next = (p.next + 1) % (lastPort - firstPort + 1)
		if !p.taken[port] {
			return port
		}
	}
	clear(p.taken)
	return firstPort + p.next
}

// prefer makes port what later versions get for a name.
func (p *ports) prefer(name string, port int) {
	if p.shared {
		return
	}
	p.preferred[name] = port
	p.taken[port] = true
}

// host returns an address for a version: on Linux, where all of 127.0.0.0/8 is
// the loopback, one of its own outside 127.0.0.0/16. What is drawn for two
// versions, or by two greenrooms, is rarely the same; it does no harm if it
// is, since their ports differ then.
func (p *ports) host(version string, try int) string {
	if p.shared {
		return "127.0.0.1"
	}
	h := p.hash(version, try)
	return net.IPv4(127, byte(1+h%254), byte(h>>16), byte(1+(h>>32)%254)).String()
}

func (p *ports) hash(what string, n int) uint64 {
	h := fnv.New64a()
	for _, s := range []string{p.seed, "\x00", what, "\x00"} {
		io.WriteString(h, s)
	}
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(n)))
	return h.Sum64()
}

func listen(host string, port int) (net.Listener, error) {
	// Keep-alive probes and multipath are of no use on the loopback, and cost
	// system calls per connection.
	c := net.ListenConfig{KeepAlive: -1}
	c.SetMultipathTCP(false)
	return c.Listen(context.Background(), "tcp4", net.JoinHostPort(host, strconv.Itoa(port)))
}

// all returns what is open by name, the status listener too.
func (a Addresses) all() map[string]int {
	all := maps.Clone(a.Ports)
	if all == nil {
		all = make(map[string]int)
	}
	if a.StatusPort != 0 {
		all[statusName] = a.StatusPort
	}
	return all
}

func (a Addresses) has(name string) bool {
	if name == statusName {
		return a.StatusPort != 0
	}
	_, ok := a.Ports[name]
	return ok
}

func (a *Addresses) set(name string, port int) {
	if name == statusName {
		a.StatusPort = port
		return
	}
	a.Ports[name] = port
}

// sorted makes which callee gets which port depend on nothing but the seed.
func sorted(callees []string) []string { return slices.Sorted(slices.Values(callees)) }
