package system

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// postgres is a PostgreSQL of a test's own, on loopback.
type postgres struct {
	t    *testing.T
	bin  string
	dir  string // its data and socket
	port string
	as   *syscall.SysProcAttr // it refuses to run as root
}

// newPostgres starts one, or skips the test where none is installed. In CI that
// is a failure.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is right
	slices.Sort(found)
	if one, err := exec.LookPath("initdb"); err == nil {
		found = append(found, one)
	}
	if len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no PostgreSQL: apt-get install postgresql")
		}
		t.Skip("there is no PostgreSQL here: apt-get install postgresql")
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &postgres{t: t, bin: filepath.Dir(found[len(found)-1]), dir: dir, port: port}
	if os.Getuid() == 0 {
		p.as = asPostgres(t, dir)
	}
	t.Cleanup(func() {
		if out, err := p.command("pg_ctl", "-D", p.data(), "-m", "immediate", "-w", "stop").CombinedOutput(); err != nil {
			t.Logf("stop PostgreSQL: %v\n%s", err, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Log(err)
		}
	})
	p.run("initdb", "-D", p.data(), "-A", "trust", "-U", "postgres", "--no-sync")
	p.run("pg_ctl", append([]string{"-D", p.data(), "-w", "-l", filepath.Join(dir, "log"), "-o", p.options()}, "start")...)
	return p
}

// asPostgres is how to run as the user that Debian's package makes.
func asPostgres(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("%v: PostgreSQL does not run as root", err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if errUID != nil || errGID != nil {
		t.Fatalf("%+v", u)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func (p *postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *postgres) options() string {
	return fmt.Sprintf("-c listen_addresses=127.0.0.1 -c port=%s -c unix_socket_directories=%s -c fsync=off", p.port, p.dir)
}

// url is the connection string of its database.
func (p *postgres) url() string {
	return "postgres://postgres@127.0.0.1:" + p.port + "/postgres?sslmode=disable"
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, p.as
	return cmd
}

func (p *postgres) run(name string, args ...string) {
	p.t.Helper()
	cmd := p.command(name, args...)
	// pg_ctl hands its output on to the server, which would keep a pipe open.
	out, err := os.CreateTemp("", "pg")
	if err != nil {
		p.t.Fatal(err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name()) // the error tells enough without it
		p.t.Fatalf("%s: %v\n%s", name, err, text)
	}
}

// restart ends all that is connected, and begins anew: what an upgrade within a
// major version comes to.
func (p *postgres) restart() {
	p.t.Helper()
	p.run("pg_ctl", "-D", p.data(), "-m", "fast", "-w", "-l", filepath.Join(p.dir, "log"), "-o", p.options(), "restart")
}
