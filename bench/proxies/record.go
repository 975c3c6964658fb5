package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// resultsFile holds what RESULTS.md is written from, so that a run of some
// questions keeps what others have said to the rest.
const resultsFile = "results.json"

// A record is what runs have found out, by question.
type record struct {
	Answers map[string]answers
	Alone   map[string]alone
}

// A run is how something was measured.
type run struct {
	Machine  string
	Versions map[string]string // of proxies
	Absent   []missing
	Rounds   int
	Seconds  float64
}

// answers are what all proxies said to one question, by name and round.
type answers struct {
	Run  run
	Rate float64 // requests a second that were due; 0: as fast as it goes
	By   map[string][]measured
}

// alone is a figure that only greenroom is asked for.
type alone struct {
	Run  run
	Text string
}

// read reads the record in a folder, an empty one if there is none.
func read(dir string) (record, error) {
	r := record{Answers: map[string]answers{}, Alone: map[string]alone{}}
	raw, err := os.ReadFile(filepath.Join(dir, resultsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return r, fmt.Errorf("reading what former runs have measured: %w; remove the file to begin anew", err)
	}
	return r, nil
}

// write writes the record and what is made of it into a folder.
func (r record) write(dir string, known []string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, resultsFile), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "RESULTS.md"), []byte(r.markdown(known)), 0o644),
		os.WriteFile(filepath.Join(dir, "results.svg"), r.plot(known), 0o644),
	)
}

// forget drops what was measured on another machine: it cannot stand beside
// what is measured on this one.
func (r record) forget(machine string) {
	maps.DeleteFunc(r.Answers, func(_ string, a answers) bool { return a.Run.Machine != machine })
	maps.DeleteFunc(r.Alone, func(_ string, a alone) bool { return a.Run.Machine != machine })
}

// highest is the median rate of a proxy in the plain case.
func (r record) highest(name string) (float64, bool) {
	runs := r.Answers[plain].By[name]
	if len(runs) == 0 {
		return 0, false
	}
	return spread(runs, func(m measured) float64 { return float64(m.Requests) / m.Seconds }).median, true
}

// soundness is what HAProxy costs over what Go's ReverseProxy does.
func (r record) soundness() (ratio float64, both bool) {
	h, p := r.Answers[plain].By["HAProxy"], r.Answers[plain].By["ReverseProxy"]
	if len(h) == 0 || len(p) == 0 {
		return 0, false
	}
	return spread(h, cpu).median / spread(p, cpu).median, true
}

// names are the proxies that were measured, those that are known first.
func (r record) names(known []string) []string {
	seen := map[string]bool{}
	for _, a := range r.Answers {
		for name := range a.By {
			seen[name] = true
		}
	}
	all := slices.DeleteFunc(slices.Clone(known), func(name string) bool { return !seen[name] })
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// machine says what this program runs on.
func machine() string {
	return fmt.Sprintf("%s, %d cores, %s, %s", model(), runtime.NumCPU(), kernel(), runtime.Version())
}

// String says which run it was, to a reader of RESULTS.md.
func (r run) String() string {
	var ours []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		if strings.HasPrefix(name, "greenroom") && !slices.Contains(ours, r.Versions[name]) {
			ours = append(ours, r.Versions[name])
		}
	}
	text := fmt.Sprintf("%d rounds of %g s", r.Rounds, r.Seconds)
	if len(ours) > 0 {
		text = fmt.Sprintf("greenroom %s, %s", strings.Join(ours, " and "), text)
	}
	return text
}
