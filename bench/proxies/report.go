package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// The range that HAProxy's cost over that of Go's ReverseProxy is in where
// neither they nor the machine are crippled.
const (
	soundLeast = 0.2
	soundMost  = 0.45
)

// keep says where results go, and what is there already. A run of some proxies
// alone is kept only where it is told to.
func (b *bench) keep(repo string) (err error) {
	out := b.out
	if out == "" && b.only == "" {
		out = filepath.Join(repo, "bench")
	}
	b.run = run{Machine: machine(), Versions: map[string]string{}, Absent: b.absent, Rounds: b.rounds, Seconds: b.seconds}
	var known []string
	for _, p := range b.proxies {
		known = append(known, p.Name)
		b.run.Versions[p.Name] = p.Version
	}
	if out == "" {
		b.record, b.save = record{map[string]answers{}, map[string]alone{}}, func() error { return nil }
		return nil
	}
	if b.record, err = read(out); err != nil {
		return err
	}
	b.record.forget(b.run.Machine)
	b.save = func() error {
		if err := b.record.sound(); err != nil {
			return err
		}
		return b.record.write(out, known)
	}
	return nil
}

// report prints what is known by now.
func (b *bench) report() error {
	var known []string
	for _, p := range b.proxies {
		known = append(known, p.Name)
	}
	fmt.Print(b.record.markdown(known))
	return b.record.sound()
}

// sound fails where what was measured can not be trusted.
func (r record) sound() error {
	ratio, both := r.soundness()
	if both && (ratio < soundLeast || ratio > soundMost) {
		return fmt.Errorf("HAProxy takes %.2f of the processor time of ReverseProxy, which on a sound machine is from %.2f to %.2f: a peer or the machine is crippled, and nothing was written", ratio, soundLeast, soundMost)
	}
	return nil
}

func (r record) markdown(known []string) string {
	var w bytes.Buffer
	w.WriteString("<!-- Written by `make bench-proxies`; run it instead of editing. -->\n# The gateway beside other proxies\n\n")
	fmt.Fprintf(&w, "%s. One core for the proxy, one for load and services together.\n", machine())
	w.WriteString("Each figure is the median of some rounds, with the least and the most; the proxies took turns within a round. Each section says which run it is of.\n")
	w.WriteString("Processor time is the kernel's account of the proxy's process. Where no rate is given each connection asks again when it is answered, so that latencies there tell little.\n\n![Processor time a request](results.svg)\n\n")
	r.versions(&w, r.names(known))
	if ratio, both := r.soundness(); both {
		fmt.Fprintf(&w, "\nHAProxy : ReverseProxy in processor time is %.2f (sound from %.2f to %.2f).\n", ratio, soundLeast, soundMost)
	}
	for _, q := range questions() {
		if a, ok := r.Answers[q.Name]; ok {
			a.table(&w, q.Name, r.names(known))
		}
	}
	if len(r.Alone) > 0 {
		w.WriteString("\n## Greenroom alone\n\n| what | figures | run |\n|-|-|-|\n")
		for _, name := range slices.Sorted(maps.Keys(r.Alone)) {
			fmt.Fprintf(&w, "| %s | %s | %v |\n", name, r.Alone[name].Text, r.Alone[name].Run)
		}
	}
	return w.String()
}

// versions lists what was measured, and what was not in any run.
func (r record) versions(w *bytes.Buffer, names []string) {
	w.WriteString("| proxy | version |\n|-|-|\n")
	for _, name := range names {
		var all []string
		for _, a := range r.Answers {
			if v := a.Run.Versions[name]; len(a.By[name]) > 0 && !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
		slices.Sort(all)
		fmt.Fprintf(w, "| %s | %s |\n", name, strings.Join(all, ", "))
	}
	why := map[string]string{}
	for _, a := range r.Answers {
		for _, m := range a.Run.Absent {
			why[m.Name] = m.Why
		}
	}
	for _, name := range slices.Sorted(maps.Keys(why)) {
		if !slices.Contains(names, name) {
			fmt.Fprintf(w, "| %s | not measured: %s |\n", name, strings.ReplaceAll(why[name], "\n", " "))
		}
	}
}

func (a answers) table(w *bytes.Buffer, title string, names []string) {
	fmt.Fprintf(w, "\n## %s\n\n%v.", title, a.Run)
	if a.Rate > 0 {
		fmt.Fprintf(w, " %.0f requests a second were due; latencies count from then.", a.Rate)
	}
	base := a.By["HAProxy"]
	w.WriteString("\n\n| proxy | processor time, µs a request | beside HAProxy | requests/s | p50, µs | p99, µs | failed |\n|-|-|-|-|-|-|-|\n")
	for _, name := range names {
		runs := a.By[name]
		if len(runs) == 0 {
			continue
		}
		beside := "–"
		if len(base) > 0 {
			beside = fmt.Sprintf("%.2f", spread(runs, cpu).median/spread(base, cpu).median)
		}
		failed := 0
		for _, m := range runs {
			failed += m.Failed
		}
		fmt.Fprintf(w, "| %s | %v | %s | %v | %v | %v | %d |\n", name, spread(runs, cpu), beside,
			spread(runs, func(m measured) float64 { return float64(m.Requests) / m.Seconds }),
			spread(runs, func(m measured) float64 { return m.P50 }), spread(runs, p99), failed)
	}
}

func model() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	out, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return runtime.GOOS
	}
	return strings.TrimSpace(string(out))
}
