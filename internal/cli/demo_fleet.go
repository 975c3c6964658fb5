package cli

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/goccy/go-yaml"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/examples/live"
	"github.com/greenroom-dev/greenroom/internal/command"
)

// demoRelease is the name of the demo's release.
const demoRelease = "r2"

// demoFleet is a demo fleet to run.
type demoFleet struct {
	state  string                       // folder, which exists
	at     demoAt                       // where its edge listens
	extras map[string]map[string]string // environment by service, besides what all get
}

// documents are where a demo's documents are.
type documents struct{ fleet, release string }

// write writes the documents as a person would, and the folder for the app's
// data. self is this program, which every service is.
func (f demoFleet) write(self string) (documents, error) {
	data := filepath.Join(f.state, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return documents{}, fmt.Errorf("make the folder for the app's data: %w", err)
	}
	out := documents{filepath.Join(f.state, "greenroom.yaml"), filepath.Join(f.state, demoRelease+".yaml")}
	err := writeDocument(out.fleet, f.fleet(self, data), "The demo's fleet: a small live-streaming app.\n"+
		"# browser → web → api → gift → wallet; chat over WebSocket; gift → queue → worker")
	if err != nil {
		return out, err
	}
	return out, writeDocument(out.release, release2(self), "Gifts can be sent twice: five services go live together, the api stays.")
}

func writeDocument(path string, doc any, comment string) error {
	data, err := yaml.MarshalWithOptions(doc, yaml.IndentSequence(false))
	if err != nil {
		return fmt.Errorf("write the document %s: %w", path, err)
	}
	if err := os.WriteFile(path, append([]byte("# "+comment+"\n"), data...), 0o600); err != nil {
		return fmt.Errorf("write the document: %w", err)
	}
	return nil
}

func (f demoFleet) fleet(self, data string) v1alpha1.Fleet {
	doc := v1alpha1.Fleet{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindFleet, Metadata: v1alpha1.Metadata{Name: "live"},
		Spec: v1alpha1.FleetSpec{
			Edge: v1alpha1.Edge{
				Listen: f.at.listen, PublicURL: f.at.public,
				AccessLog: v1alpha1.AccessLog{Sample: "0%"},
				Routes: []v1alpha1.Route{
					{Path: "/api", Service: "api"},
					{Path: "/chat", Service: "chat"},
					{Path: "/live.Wallet", Service: "wallet"}, // gRPC
					{Service: "web"},
				},
			},
			API:   v1alpha1.API{Listen: f.at.api},
			Quiet: "2s",
		},
	}
	for _, name := range live.Services() {
		env := map[string]*string{"LIVE_DATA": &data}
		for key, value := range f.extras[name] {
			env[key] = &value
		}
		s := v1alpha1.Service{
			Name: name, Version: "v1", Drain: "15s", Background: name == "worker",
			Run: &v1alpha1.Run{Command: live.Command(self, name, "v1"), Env: env},
		}
		if name == "wallet" {
			s.Protocol = "grpc"
		}
		doc.Spec.Services = append(doc.Spec.Services, s)
	}
	return doc
}

func release2(self string) v1alpha1.Release {
	doc := v1alpha1.Release{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindRelease, Metadata: v1alpha1.Metadata{Name: demoRelease},
		Spec: v1alpha1.ReleaseSpec{Description: "Gifts can be sent twice"},
	}
	for _, name := range live.Changed() {
		doc.Spec.Services = append(doc.Spec.Services, v1alpha1.ReleaseService{
			Name: name, Version: "v2", Run: &v1alpha1.Run{Command: live.Command(self, name, "v2")},
		})
	}
	return doc
}

// demoAt is where a demo's edge listens.
type demoAt struct {
	listen  string // host:port
	public  string // URL for links
	network bool   // others can reach it
	api     string // host:port of the API and the dashboard, on this machine alone
	moved   string // why it is not where one expects it; "" if it is
}

// The address of a demo that was told none, and how many ports it tries.
const (
	demoPort  = 8080
	demoAPI   = 9090 // of the API and the dashboard
	demoPorts = 100
)

// demoAddress finds an address that is free.
func demoAddress(listen string) (demoAt, error) {
	if listen == "" {
		return freeDemoAddress()
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return demoAt{}, command.BadInputf("--listen %s: write host:port, such as 0.0.0.0:8080", listen)
	}
	port, err := tryListen(listen)
	if err != nil {
		return demoAt{}, command.BadInputf("--listen %s: %w; choose another port", listen, err)
	}
	at := demoAt{listen: net.JoinHostPort(host, port)}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && ip.IsUnspecified():
		ours, ok := networkAddress()
		if !ok {
			ours = "127.0.0.1"
		}
		at.public, at.network = "http://"+net.JoinHostPort(ours, port), ok
	case host == "localhost" || err == nil && ip.IsLoopback():
		at.public = "http://" + at.listen
	default:
		at.public, at.network = "http://"+at.listen, true
	}
	return at, nil
}

func freeDemoAddress() (demoAt, error) {
	listen, first, err := freeAddress(demoPort)
	if err != nil {
		return demoAt{}, fmt.Errorf("%w; name one with --listen", err)
	}
	at := demoAt{listen: listen, public: "http://" + listen}
	if first != nil {
		_, port, err := net.SplitHostPort(listen)
		if err != nil {
			return demoAt{}, fmt.Errorf("read the address %s: %w", listen, err)
		}
		at.moved = fmt.Sprintf("Port %d is taken; the demo is at port %s.", demoPort, port)
	}
	return at, nil
}

// freeAddress finds a free port on this machine, from one on. first is why it
// is not that one.
func freeAddress(from int) (listen string, first, err error) {
	for port := from; port < from+demoPorts; port++ {
		listen := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if _, err := tryListen(listen); err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		return listen, first, nil
	}
	return "", first, fmt.Errorf("no port from %d to %d is free: %w", from, from+demoPorts-1, first)
}

// tryListen reports whether an address can be listened at, and the port that
// stands for port 0.
func tryListen(address string) (port string, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	_, port, err = net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// networkAddress is the address that others on the network reach this machine
// at: the one that it would use towards the world, or else any.
func networkAddress() (string, bool) {
	// Nothing is sent: connecting a datagram socket only chooses the route. The
	// address is one that RFC 5737 keeps for documentation.
	if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer conn.Close()
		if ip, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil && !ip.Addr().IsLoopback() {
			return ip.Addr().String(), true
		}
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", false
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr().String(), true
		}
	}
	return "", false
}
