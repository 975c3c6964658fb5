package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// ownChain tells whether a chain is one that kube-proxy, the kubelet or the
// network plugins make. Start makes sure that there is none before.
func ownChain(name string) bool {
	return strings.HasPrefix(name, "KUBE-") || strings.HasPrefix(name, "CNI-")
}

// ruleSet is one family's rules, as iptables-save writes them.
type ruleSet struct{ save, restore string }

var ruleSets = []ruleSet{{"iptables-save", "iptables-restore"}, {"ip6tables-save", "ip6tables-restore"}}

// clusterChains returns the chains that a Kubernetes makes, of all tables.
func clusterChains(ctx context.Context) ([]string, error) {
	var chains []string
	for _, s := range ruleSets {
		rules, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(rules) {
			if name, isChain := chainName(line); isChain && ownChain(name) {
				chains = append(chains, name)
			}
		}
	}
	return chains, nil
}

func (s ruleSet) read(ctx context.Context) (string, error) {
	program, err := lookPath(s.save)
	if err != nil {
		return "", err
	}
	return output(ctx, program)
}

// chainName is the name in a line ":NAME POLICY [0:0]".
func chainName(line string) (name string, isChain bool) {
	if !strings.HasPrefix(line, ":") {
		return "", false
	}
	name, _, _ = strings.Cut(line[1:], " ")
	return name, true
}

// removeChains removes the cluster's chains and the rules that lead there, and
// leaves all others as they are.
func removeChains(ctx context.Context) error {
	for _, s := range ruleSets {
		rules, err := s.read(ctx)
		if err != nil {
			return err
		}
		removal := removal(rules)
		if removal == "" {
			continue
		}
		program, err := lookPath(s.restore)
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, program, "--noflush")
		cmd.Stdin = strings.NewReader(removal)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("removing the cluster's chains with %s: %w: %s", s.restore, err, out)
		}
	}
	return nil
}

// removal turns what iptables-save wrote into what iptables-restore --noflush
// needs to take the cluster's chains away; empty when there are none.
func removal(rules string) string {
	var out, drop strings.Builder
	var table string
	for line := range strings.Lines(rules) {
		line = strings.TrimSuffix(line, "\n")
		name, isChain := chainName(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line
			drop.Reset()
		case isChain && ownChain(name):
			if table != "" {
				fmt.Fprintln(&out, table)
				table = ""
			}
			fmt.Fprintf(&out, ":%s - [0:0]\n", name) // empties it
			fmt.Fprintf(&drop, "-X %s\n", name)
		case strings.HasPrefix(line, "-A "):
			fields := strings.Fields(line)
			if target := jumpTarget(fields); ownChain(target) && !ownChain(fields[1]) {
				fmt.Fprintln(&out, "-D"+strings.TrimPrefix(line, "-A"))
			}
		case line == "COMMIT" && drop.Len() > 0:
			fmt.Fprintf(&out, "%sCOMMIT\n", drop.String())
			drop.Reset()
		}
	}
	return out.String()
}

// jumpTarget is what follows -j in a rule.
func jumpTarget(fields []string) string {
	for i, f := range fields[:len(fields)-1] {
		if f == "-j" || f == "-g" {
			return fields[i+1]
		}
	}
	return ""
}
