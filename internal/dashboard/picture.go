package dashboard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/greenroom-dev/greenroom/client"
)

// The picture's measures, in its own units, which are pixels at most.
const (
	nodeWidth  = 204
	rowHeight  = 44
	headHeight = 28
	nodeGap    = 18
	columnGap  = 54
	margin     = 10
	edgeWidth  = 72
)

// picture is the fleet as it is drawn: edge → services, what calls what, and
// which arrow drops stamps.
type picture struct {
	Width, Height int
	Edge          box
	Nodes         []node
	Arrows        []arrow
	Summary       string // the picture in words, for who can not see it
	Drops         []client.Drop
	Measured      bool // numbers are known here
}

type box struct{ X, Y, W, H int }

// node is one service.
type node struct {
	box
	Service, Protocol string
	Routed            bool // the edge leads there
	Rows              []nodeRow
	level             int
}

// nodeRow is one version of a service.
type nodeRow struct {
	Y              int
	Version, State string
	Whose          whose
	Serving, Ready bool
	Wanted, Up     int
	Measure        measure
}

// arrow leads from the edge or a service to a service.
type arrow struct {
	Path           string
	From, To       string
	Drop           bool   // calls lost the stamp there
	Count          uint64 // of them
	LabelX, LabelY int
	Candidate      bool // only a candidate calls so
}

func (d *Dashboard) picture(m *moment) picture {
	links := linksOf(m)
	nodes := place(m, links)
	out := picture{Nodes: nodes, Drops: slices.Clone(m.status.Dropped), Measured: m.flow.Note == ""}
	for i, drop := range out.Drops {
		out.Drops[i].Release = m.status.Named(drop.Release)
	}
	at := map[string]node{}
	for _, n := range nodes {
		at[n.Service] = n
		out.Width = max(out.Width, n.X+n.W+margin)
		out.Height = max(out.Height, n.Y+n.H+margin)
	}
	out.Height = max(out.Height, 80)
	out.Edge = box{margin, max(margin, out.Height/2-26), edgeWidth, 52}
	for _, n := range nodes {
		if n.Routed {
			out.Arrows = append(out.Arrows, arrow{Path: curve(out.Edge, n.box), From: "edge", To: n.Service})
		}
	}
	for _, l := range links {
		from, ok := at[l.from]
		to, known := at[l.to]
		if !ok || !known {
			continue
		}
		a := arrow{Path: curve(from.box, to.box), From: l.from, To: l.to, Drop: l.drops > 0, Count: l.drops, Candidate: l.candidate}
		a.LabelX, a.LabelY = middle(from.box, to.box)
		out.Arrows = append(out.Arrows, a)
	}
	slices.SortStableFunc(out.Arrows, func(x, y arrow) int { // what needs a look lies on top
		return cmp.Compare(fmt.Sprint(x.Drop), fmt.Sprint(y.Drop))
	})
	return out
}

// calls is that a service calls another one.
type calls struct {
	from, to  string
	drops     uint64
	candidate bool
}

// linksOf are the calls that were seen, and those that lost their stamp.
func linksOf(m *moment) []calls {
	serving := map[string]bool{}
	for _, s := range m.status.Services {
		for _, v := range s.Versions {
			serving[v.ID] = v.Serving
		}
	}
	found := map[[2]string]*calls{}
	note := func(caller, to string) *calls {
		from, _, _ := strings.Cut(caller, "@")
		key := [2]string{from, to}
		l, ok := found[key]
		if !ok {
			l = &calls{from: from, to: to, candidate: true}
			found[key] = l
		}
		l.candidate = l.candidate && !serving[caller]
		return l
	}
	for _, c := range m.flow.Calls {
		note(c.Caller, c.Callee)
	}
	for _, drop := range m.status.Dropped {
		note(drop.Caller, drop.Callee).drops += drop.Count
	}
	out := make([]calls, 0, len(found))
	for _, l := range found {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b calls) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	return out
}

// place puts services into columns, by how far they are from the edge. Those
// that nothing leads to stand in the last column.
func place(m *moment, links []calls) []node {
	level, most := levels(m, links)
	var nodes []node
	for _, s := range m.status.Services {
		n := node{Service: s.Name, Protocol: s.Protocol, Routed: slices.Contains(m.routed, s.Name), level: most}
		if l, ok := level[s.Name]; ok {
			n.level = l
		}
		n.W, n.H = nodeWidth, headHeight+rowHeight*max(1, len(s.Versions))+6
		nodes = append(nodes, n)
	}
	slices.SortStableFunc(nodes, func(a, b node) int { return cmp.Compare(a.level, b.level) })
	column := map[int]int{} // height by level
	tallest := 0
	for _, n := range nodes {
		column[n.level] += n.H + nodeGap
		tallest = max(tallest, column[n.level])
	}
	y := map[int]int{}
	for i, n := range nodes {
		if _, begun := y[n.level]; !begun {
			y[n.level] = margin + (tallest-column[n.level])/2
		}
		nodes[i].X = margin + edgeWidth + columnGap + (n.level-1)*(nodeWidth+columnGap)
		nodes[i].Y = y[n.level]
		y[n.level] += n.H + nodeGap
		nodes[i].Rows = rowsOf(m, n.Service, nodes[i].Y)
	}
	return nodes
}

// levels are how many steps services are away from the edge, by the longest way
// there is without meeting one twice, so that calls lead to the right; and where
// those stand that can not be reached.
func levels(m *moment, links []calls) (level map[string]int, rest int) {
	level = map[string]int{}
	next := map[string][]string{}
	for _, l := range links {
		next[l.from] = append(next[l.from], l.to)
	}
	on := map[string]bool{} // the way that is walked
	steps := 0
	var walk func(name string, depth int)
	walk = func(name string, depth int) {
		if steps++; on[name] || depth <= level[name] || steps > maxSteps {
			return
		}
		level[name], rest = depth, max(rest, depth)
		on[name] = true
		for _, to := range next[name] {
			walk(to, depth+1)
		}
		on[name] = false
	}
	for _, name := range m.routed {
		walk(name, 1)
	}
	return level, max(1, rest)
}

// maxSteps bounds the search for longest ways, which in a fleet where everybody
// calls everybody would not end. What was not looked at stands further left.
const maxSteps = 20_000

func rowsOf(m *moment, service string, top int) []nodeRow {
	var rows []nodeRow
	for _, s := range m.status.Services {
		if s.Name != service {
			continue
		}
		for i, v := range s.Versions {
			whose := whoseOf(m, v)
			rows = append(rows, nodeRow{
				Y: top + headHeight + i*rowHeight, Version: v.Name, Whose: whose, State: v.State, Serving: v.Serving,
				Ready: v.Ready >= v.Wanted, Wanted: v.Wanted, Up: v.Ready, Measure: m.measured(service, whose.View),
			})
		}
	}
	return rows
}

// curve leads from the right of a box to the left of another; around, where
// that one stands no further right.
func curve(from, to box) string {
	x1, y1, x2, y2 := from.X+from.W, from.Y+from.H/2, to.X, to.Y+to.H/2
	if x2 > x1 {
		bend := (x2 - x1) / 2
		return fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2-2, y2)
	}
	return fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x1, y1, x1+60, y1, to.X+to.W+60, y2, to.X+to.W+2, y2)
}

// middle is where an arrow's label stands.
func middle(from, to box) (x, y int) {
	x1, x2 := from.X+from.W, to.X
	if x2 <= x1 {
		return x1 + 44, (from.Y + from.H/2 + to.Y + to.H/2) / 2
	}
	return (x1 + x2) / 2, (from.Y+from.H/2+to.Y+to.H/2)/2 - 6
}
