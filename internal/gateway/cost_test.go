package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
	"github.com/greenroom-dev/greenroom/internal/metrics"
)

// childPath tells a child of BenchmarkCost which path to serve; childSize how
// many services and releases there are, such as 10x2.
const (
	childPath    = "GREENROOM_COST_PATH"
	childSize    = "GREENROOM_COST_SIZE"
	childBackend = "GREENROOM_COST_BACKEND"
	childProfile = "GREENROOM_COST_PROFILE" // file to write; a CPU profile, or what .mutex, .block or .allocs says
)

// TestCostChild is the proxy of BenchmarkCost, in a process of its own. It ends
// with its standard input.
func TestCostChild(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("it is BenchmarkCost's")
	}
	if path == "bare" {
		serveBare(t)
		return
	}
	services, releases, _ := strings.Cut(os.Getenv(childSize), "x")
	n, _ := strconv.Atoi(services)
	views, _ := strconv.Atoi(releases)
	meters := metrics.New("test")
	f := gatewaytest.New(t, gatewaytest.Config{
		Edge: fleet.Edge{
			HTTP1: fleet.HTTP1(path), SessionPinning: time.Minute,
			AccessLog: fleet.AccessLog{Format: "json", Errors: "all", Sample: 0.01},
			Routes:    []fleet.Route{{Path: "/other", Service: "s0"}, {Service: "web"}},
		},
		Metrics: meters, AccessLog: io.Discard,
	})
	for v := range views {
		ids := []string{fmt.Sprintf("web@%d", v+1)}
		f.Endpoint(ids[0], os.Getenv(childBackend))
		for s := range n - 1 {
			ids = append(ids, fmt.Sprintf("s%d@%d", s, v+1))
		}
		stamp := fmt.Sprintf("r%d", v+1)
		f.View(stamp, ids...)
		f.Passes[stamp] = gateway.PassRule{UID: stamp, Access: gateway.Preview, Stamp: stamp}
	}
	f.Publish("r1")
	stop := profile(t)
	var before, m runtime.MemStats
	runtime.ReadMemStats(&before)
	fmt.Println(f.URL + " " + f.Calls("web@1", "web")["web"])
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')
	stop()
	runtime.ReadMemStats(&m)
	fmt.Println(m.Mallocs - before.Mallocs)
	io.Copy(io.Discard, in)
}

// serveBare is the floor: one read and one write on each side, and nothing
// looked at.
func serveBare(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := profile(t)
	fmt.Println("http://" + l.Addr().String() + " http://" + l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				up, err := net.Dial("tcp", os.Getenv(childBackend))
				if err != nil {
					return
				}
				defer up.Close()
				for buf := make([]byte, 16<<10); ; {
					for _, way := range [2][2]net.Conn{{c, up}, {up, c}} {
						n, err := way[0].Read(buf)
						if err != nil {
							return
						}
						if _, err := way[1].Write(buf[:n]); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')
	stop()
	fmt.Println(0)
	io.Copy(io.Discard, in)
	l.Close()
}

func profile(t *testing.T) (stop func()) {
	name := os.Getenv(childProfile)
	if name == "" {
		return func() {}
	}
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	kind := ""
	switch filepath.Ext(name) {
	case ".mutex":
		kind = "mutex"
		runtime.SetMutexProfileFraction(1)
	case ".allocs":
		kind = "allocs"
		runtime.MemProfileRate = 1
	case ".block":
		kind = "block"
		runtime.SetBlockProfileRate(1)
	default:
		pprof.StartCPUProfile(out)
		return func() { pprof.StopCPUProfile(); out.Close() }
	}
	return func() {
		runtime.GC() // or what was allocated since the last is not in the profile
		pprof.Lookup(kind).WriteTo(out, 0)
		out.Close()
	}
}

// BenchmarkCost is what one request costs a proxy in CPU time, by /proc, with 64
// connections and all features on: stamp, baggage, passes, pins, counts,
// metrics, and 1 % in the access log. HAProxy is measured beside where it is
// installed. With two cores or more, the proxy has the first for itself.
//
//	go test ./internal/gateway -run '^$' -bench Cost -benchtime 100000x -count 3
func BenchmarkCost(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("it reads /proc")
	}
	addr := costBackend(b)
	for _, c := range []struct{ name, path, size, procs string }{
		{"bare", "bare", "", "1"}, {"std", "std", "10x2", "1"}, {"fast", "fast", "10x2", "1"}, {"fast-procs2", "fast", "10x2", "2"},
		{"fast-1000x20", "fast", "1000x20", "1"}, {"fast-mesh", "fast", "10x2", "1"},
	} {
		b.Run(c.name, func(b *testing.B) {
			costOfChild(b, addr, c.path, c.size, c.procs, c.name == "fast-mesh")
		})
	}
	b.Run("haproxy", func(b *testing.B) { costOfHAProxy(b, addr) })
}

func costOfChild(b *testing.B, backend, path, size, procs string, mesh bool) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := pinned(procs, self, "-test.run=^TestCostChild$", "-test.v")
	c.Env = append(os.Environ(), childPath+"="+path, childSize+"="+size, childBackend+"="+backend, "GOMAXPROCS="+procs)
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	defer c.Wait()
	defer in.Close()
	lines := bufio.NewScanner(out)
	next := func(prefix string) string {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return lines.Text()
			}
		}
		b.Fatal("the proxy said nothing")
		return ""
	}
	edge, call, _ := strings.Cut(next("http://"), " ")
	url := edge
	if mesh {
		url = call
	}
	load(b, strings.TrimPrefix(url, "http://"), c.Process.Pid)
	io.WriteString(in, "\n")
	mallocs, _ := strconv.Atoi(next(""))
	b.ReportMetric(float64(mallocs)/float64(b.N+warm), "allocs/req")
}

// pinned is a command that has the first core for itself, or all of them.
func pinned(procs, name string, args ...string) *exec.Cmd {
	if taskset, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 && procs == "1" {
		return exec.Command(taskset, append([]string{"-c", "0", name}, args...)...)
	}
	return exec.Command(name, args...)
}

func costOfHAProxy(b *testing.B, backend string) {
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		b.Skip("haproxy is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	file := filepath.Join(b.TempDir(), "haproxy.cfg")
	os.WriteFile(file, fmt.Appendf(nil, `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 3s
  option http-keep-alive
  http-reuse always
frontend edge
  bind %s
  use_backend other if { hdr(x-release) r2 }
  default_backend web
backend web
  http-request set-header x-greenroom-release r1
  server s1 %s
backend other
  server s1 %s
`, addr, backend, backend), 0o600)
	c := pinned("1", haproxy, "-db", "-f", file)
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	for deadline := time.Now().Add(5 * time.Second); ; {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			break
		} else if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
	load(b, addr, c.Process.Pid)
}

// costBackend answers whatever comes, at little cost.
func costBackend(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nServer: x\r\nDate: Wed, 25 Nov 2026 11:00:00 GMT\r\n\r\nHello, world!")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 16<<10)
				n := 0
				for {
					m, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					if n += m; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
						n = 0
						if _, err := c.Write(answer); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

const warm = 2000

// load sends b.N requests over 64 connections and reports what they cost the
// process.
func load(b *testing.B, addr string, pid int) {
	request := []byte("GET /api/v1/things?id=1 HTTP/1.1\r\nHost: live.example.com\r\nUser-Agent: cost/1\r\nAccept: */*\r\nX-Release: r1\r\nCookie: a=b; session=0123456789abcdef\r\n\r\n")
	run := func(n int) {
		var left atomic.Int64
		left.Store(int64(n))
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				buf := make([]byte, 4<<10)
				for left.Add(-1) >= 0 {
					if _, err := c.Write(request); err != nil {
						b.Error(err)
						return
					}
					for at := 0; !bytes.HasSuffix(buf[:at], []byte("Hello, world!")); {
						m, err := c.Read(buf[at:])
						if err != nil {
							b.Error(err, string(buf[:at]))
							return
						}
						at += m
					}
				}
			})
		}
		wg.Wait()
	}
	run(warm)
	before := cpu(b, pid)
	b.ResetTimer()
	run(b.N)
	b.StopTimer()
	b.ReportMetric(float64((cpu(b, pid)-before).Microseconds())/float64(b.N), "cpu-us/req")
}

// cpu returns the CPU time that a process has had.
func cpu(b *testing.B, pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
