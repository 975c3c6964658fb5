package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// What this program is started as when it starts itself.
const (
	roleBackend = "serve-backend"
	roleLoad    = "make-load"
	roleHop     = "serve-hop"
)

func main() {
	var err error
	switch role := cmp.Or(append(os.Args[1:], "")[0]); role {
	case roleBackend:
		err = serveBackend(os.Args[2], os.Args[3])
	case roleLoad:
		err = runLoad(os.Stdin, os.Stdout)
	case roleHop:
		err = serveHop(os.Args[2:])
	default:
		err = compare()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxies:", err)
		os.Exit(1)
	}
}

// options are what a person may choose.
type options struct {
	rounds  int
	seconds float64
	only    string
	cases   string
	out     string
}

func parse() options {
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "how often each proxy is asked each question")
	flag.Float64Var(&o.seconds, "seconds", 1.5, "how long each time")
	flag.StringVar(&o.only, "only", "", "measure those proxies whose names hold one of these, comma-separated; nothing is kept then without -out")
	flag.StringVar(&o.cases, "cases", "", "ask those questions whose names hold one of these, comma-separated")
	flag.StringVar(&o.out, "out", "", "keep results.json, RESULTS.md and results.svg in this folder (bench itself if -only is empty); what is there of other questions stays")
	flag.Parse()
	return o
}

func compare() error {
	o := parse()
	if runtime.NumCPU() < 2 {
		return errors.New("the proxy needs a core of its own: this machine has one only")
	}
	repo, err := repository()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "proxies")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{options: o, dir: dir, self: self}
	fmt.Fprintln(os.Stderr, "building what is measured")
	if b.proxies, b.absent, err = peers(filepath.Join(repo, "bench"), dir); err != nil {
		return err
	}
	ours, err := greenrooms(repo, dir, self)
	if err != nil {
		return err
	}
	b.proxies = append(ours, b.proxies...)
	b.proxies = slices.DeleteFunc(b.proxies, func(p proxy) bool { return !chosen(o.only, p.Name) })
	defer b.end()
	if err := b.keep(repo); err != nil {
		return err
	}
	if err := b.measure(); err != nil {
		return err
	}
	return b.report()
}

// chosen says whether a name holds one of the words.
func chosen(words, name string) bool {
	return words == "" || slices.ContainsFunc(strings.Split(words, ","), func(w string) bool {
		return strings.Contains(strings.ToLower(name), strings.ToLower(strings.TrimSpace(w)))
	})
}

// repository is the root of the tree that this program is run in.
func repository() (string, error) {
	out, err := exec.Command("go", "env", "GOWORK").Output()
	if err != nil {
		return "", err
	}
	work := strings.TrimSpace(string(out))
	if work == "" || work == "off" {
		return "", errors.New("run it inside the repository, where go.work is")
	}
	return filepath.Dir(work), nil
}
