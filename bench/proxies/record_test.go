package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run of some questions keeps what others have said to the rest, and nothing
// of another machine.
func TestPartsKeepEachOther(t *testing.T) {
	dir := t.TempDir()
	part := func(question string, us float64) {
		t.Helper()
		b := &bench{options: options{out: dir, rounds: 1, seconds: 2}, proxies: []proxy{{Name: "HAProxy", Version: "2.6"}, {Name: "Own", Version: "1"}}}
		if err := b.keep(""); err != nil {
			t.Fatal(err)
		}
		b.record.Answers[question] = answers{Run: b.run, By: map[string][]measured{"HAProxy": {{CPU: us}}, "Own": {{CPU: 2 * us}}}}
		if err := b.save(); err != nil {
			t.Fatal(err)
		}
	}
	part(plain, 10)
	part("POST 4 KiB", 17)
	part(plain, 13)
	raw, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, want := range []string{"## " + plain, "| HAProxy | 13.0 ", "## POST 4 KiB", "| Own | 34.0 (34.0–34.0) | 2.00 |", "| HAProxy | 2.6 |", "1 rounds of 2 s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "| 10.0 ") {
		t.Error("the former answer to the same question is there still")
	}
	r, err := read(dir)
	if err != nil || len(r.Answers) != 2 {
		t.Fatalf("%d answers, %v", len(r.Answers), err)
	}
	r.forget("another machine")
	if len(r.Answers) != 0 {
		t.Error("what another machine said is kept")
	}
}

// A run that cannot be trusted leaves what is there alone.
func TestCrippledPeersWriteNothing(t *testing.T) {
	dir := t.TempDir()
	b := &bench{options: options{out: dir}}
	if err := b.keep(""); err != nil {
		t.Fatal(err)
	}
	b.record.Answers[plain] = answers{By: map[string][]measured{"HAProxy": {{CPU: 30}}, "ReverseProxy": {{CPU: 50}}}}
	if err := b.save(); err == nil {
		t.Error("it was kept")
	}
	if all, _ := os.ReadDir(dir); len(all) > 0 {
		t.Errorf("%v was written", all)
	}
}
