package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// node follows anchors and aliases to what they stand for; nil, with a
// complaint, where that is nothing.
func (d *decoder) node(n ast.Node, p path) ast.Node {
	for hops := 0; ; hops++ {
		switch t := n.(type) {
		case *ast.AnchorNode:
			n = t.Value
		case *ast.AliasNode:
			name := t.Value.GetToken().Value
			to, ok := d.anchors[name]
			if !ok || hops > 20 {
				d.add(start(t), p, "an anchor &"+name+" must stand before its alias", fmt.Sprintf("`*%s` stands for nothing", name))
				return nil
			}
			n = to
		case *ast.TagNode:
			d.add(start(t), p, "remove it", fmt.Sprintf("tags such as `%s` are not supported", t.Start.Value))
			return nil
		default:
			return n
		}
	}
}

// start is where a node's text begins.
func start(n ast.Node) position {
	switch t := n.(type) {
	case *ast.MappingNode:
		if !t.IsFlowStyle && len(t.Values) > 0 {
			return start(t.Values[0])
		}
	case *ast.MappingValueNode:
		return start(t.Key)
	}
	tok := n.GetToken()
	if tok == nil || tok.Position == nil {
		return position{}
	}
	return position{tok.Position.Line, tok.Position.Column}
}

// pair is one key of a map with its value.
type pair struct {
	key   string
	at    position
	value ast.Node
}

// pairs lists a map's keys, merged ones (<<) last and only where they are not
// given; false, with a complaint, if n is no map.
func (d *decoder) pairs(n ast.Node, p path, depth int) ([]pair, bool) {
	var entries []*ast.MappingValueNode
	switch t := n.(type) {
	case *ast.MappingNode:
		entries = t.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{t}
	default:
		d.mismatch(n, p, "a map")
		return nil, false
	}
	var out, merged []pair
	seen := map[string]position{}
	for _, e := range entries {
		if d.values++; d.values > maxValues || depth > 20 {
			break
		}
		if e.Key.IsMergeKey() {
			merged = append(merged, d.merge(e.Value, p, depth)...)
			continue
		}
		key, at, ok := keyOf(e.Key)
		if !ok {
			d.add(at, p, "use a plain word as the key", "this key is not a text")
			continue
		}
		if first, twice := seen[key]; twice {
			d.add(at, p.field(key), "remove one of the two", fmt.Sprintf("`%s` is given twice, first in line %d", cut(key), d.src.line(first)))
			continue
		}
		seen[key] = at
		out = append(out, pair{key, at, e.Value})
	}
	for _, m := range merged {
		if _, given := seen[m.key]; !given {
			seen[m.key] = m.at
			out = append(out, m)
		}
	}
	return out, true
}

// merge lists what a merge key (<<) brings in: a map or a list of maps.
func (d *decoder) merge(n ast.Node, p path, depth int) []pair {
	if n = d.node(n, p); n == nil {
		return nil
	}
	if list, ok := n.(*ast.SequenceNode); ok {
		var out []pair
		for _, one := range list.Values {
			if one = d.node(one, p); one != nil {
				more, _ := d.pairs(one, p, depth+1)
				out = append(out, more...)
			}
		}
		return out
	}
	out, _ := d.pairs(n, p, depth+1)
	return out
}

func keyOf(k ast.MapKeyNode) (string, position, bool) {
	var n ast.Node = k
	at := start(n)
	if t, ok := n.(*ast.MappingKeyNode); ok {
		n = t.Value
	}
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, at, true
	}
	return "", at, false
}

// plain reads a plain text with a colon inside, such as 127.0.0.1:80, that the
// parser has cut in two: within a list within a map in braces it takes every
// colon for that of a map, though only one before a space is.
func (d *decoder) plain(n ast.Node) (string, bool) {
	if m, ok := n.(*ast.MappingNode); ok {
		if m.IsFlowStyle || len(m.Values) != 1 {
			return "", false
		}
		n = m.Values[0]
	}
	at := start(n)
	colon := n.GetToken().Position
	if at.line < 1 || at.line > len(d.src.lines) || colon == nil || colon.Line != at.line {
		return "", false
	}
	line := []rune(d.src.lines[at.line-1])
	if at.column < 1 || at.column > colon.Column || colon.Column > len(line) || strings.ContainsRune(`"'`, line[at.column-1]) {
		return "", false
	}
	end := at.column - 1
	for ; end < len(line) && !strings.ContainsRune(",[]{}", line[end]); end++ {
		next := ' '
		if end+1 < len(line) {
			next = line[end+1]
		}
		if line[end] == ':' && (next == ' ' || next == '\t') || line[end] == ' ' && next == '#' {
			break
		}
	}
	if end <= colon.Column-1 {
		return "", false
	}
	return strings.TrimSpace(string(line[at.column-1 : end])), true
}

// kindOf says what a node is, for complaints.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a map"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "a text"
	case *ast.FloatNode:
		return "a fraction"
	case *ast.IntegerNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "a truth value"
	case *ast.NullNode:
		return "nothing"
	}
	return "something else"
}

// anchorsOf collects a document's anchors by name.
func anchorsOf(body ast.Node, p *problems) map[string]ast.Node {
	found := map[string]ast.Node{}
	ast.Walk(visitor(func(n ast.Node) {
		a, ok := n.(*ast.AnchorNode)
		if !ok || a.Name == nil || a.Value == nil {
			return
		}
		name := a.Name.GetToken().Value
		if _, twice := found[name]; twice {
			p.add(start(a), "", "give it another name", fmt.Sprintf("the anchor `&%s` is defined twice", name))
			return
		}
		found[name] = a.Value
	}), body)
	return found
}

type visitor func(ast.Node)

// Visit calls the function for every node.
func (v visitor) Visit(n ast.Node) ast.Visitor {
	v(n)
	return v
}
