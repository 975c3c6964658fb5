package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth  = 760
	labelWidth = 150
	barHeight  = 16
	barGap     = 4
	groupGap   = 34
)

// plot draws the processor time of the cases that stand in it: a bar for the
// median, a line for the spread.
func (r record) plot(known []string) []byte {
	var body bytes.Buffer
	y := 10
	for _, q := range questions() {
		a := r.Answers[q.Name]
		if !q.Among || len(a.By) == 0 {
			continue
		}
		most := 0.0
		for _, runs := range a.By {
			most = max(most, spread(runs, cpu).most)
		}
		scale := func(v float64) float64 { return v / most * (plotWidth - labelWidth - 70) }
		y += groupGap - barGap
		fmt.Fprintf(&body, `<text x="0" y="%d" class="title">%s</text>`+"\n", y-10, html.EscapeString(q.Name))
		for _, name := range r.names(known) {
			runs := a.By[name]
			if len(runs) == 0 {
				continue
			}
			s := spread(runs, cpu)
			class := "peer"
			if strings.HasPrefix(name, "greenroom") {
				class = "ours"
			}
			middle := y + barHeight/2
			fmt.Fprintf(&body, `<text x="%d" y="%d" class="name">%s</text>`, labelWidth-8, middle+4, html.EscapeString(name))
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" class="%s"/>`, labelWidth, y, scale(s.median), barHeight, class)
			fmt.Fprintf(&body, `<path d="M%.1f %dH%.1f" class="spread"/>`, labelWidth+scale(s.least), middle, labelWidth+scale(s.most))
			fmt.Fprintf(&body, `<text x="%.1f" y="%d">%.1f</text>`+"\n", labelWidth+scale(s.most)+6, middle+4, s.median)
			y += barHeight + barGap
		}
	}
	var w bytes.Buffer
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Processor time a request, microseconds, least is best">
<style>text{font:12px sans-serif;fill:#555}.title{font-weight:bold}.name{text-anchor:end}.ours{fill:#2a8a5f}.peer{fill:#9aa5b1}.spread{stroke:#c0392b;stroke-width:2}
@media(prefers-color-scheme:dark){text{fill:#bbb}}</style>
`, plotWidth, y+26)
	w.Write(body.Bytes())
	fmt.Fprintf(&w, `<text x="0" y="%d">Microseconds of processor time a request: median, and the range of the rounds. Less is better.</text>`+"\n</svg>\n", y+18)
	return w.Bytes()
}
