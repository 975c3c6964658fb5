package rbac

// Scope is where a rule holds.
type Scope int

const (
	// Cluster is everywhere: what caches read, and questions to the API server.
	Cluster Scope = iota
	// Fleets is the namespaces of fleets and of the pods of their gateways.
	// Installed as it is, that is everywhere too; in a cluster that greenroom
	// shares, RoleBindings in those namespaces take the place of one
	// ClusterRoleBinding.
	Fleets
	// Own is the operator's own namespace.
	Own
)

// Rule lets the operator do something, for a reason.
type Rule struct {
	Scope     Scope
	Group     string // "" is the core group
	Resources []string
	Names     []string // of objects; nil: whatever they are called
	Verbs     []string
	Reason    string
}

// Rules is everything that the operator may do, in the order in which people
// read it.
func Rules() []Rule {
	read := []string{"get", "list", "watch"}
	write := []string{"create", "patch", "delete"}
	return []Rule{
		{Cluster, "greenroom.dev", []string{"fleets", "releases"}, nil, read,
			"What is wanted."},
		{Cluster, "greenroom.dev", []string{"releases"}, nil, []string{"patch"},
			"The finalizer: also in a namespace that is being deleted, whose RoleBindings may go before its Releases. Releases that people change over the API."},
		{Cluster, "argoproj.io", []string{"rollouts"}, nil, read,
			"Which pods serve and which are previewed."},
		{Cluster, "apps", []string{"deployments", "replicasets"}, nil, read,
			"The template of a Rollout that refers to a Deployment; until when Argo keeps former pods."},
		{Cluster, "", []string{"pods", "services"}, nil, read,
			"Whether versions are ready and which images they run; the ports and selectors of services; the gateways' pods, which are asked whether a switch has arrived."},
		{Cluster, "networking.istio.io", []string{"virtualservices", "destinationrules"}, nil, read,
			"What others route, and the rules that versions are called by; repair of our own."},
		{Cluster, "networking.istio.io", []string{"gateways"}, nil, []string{"get"},
			"At which ports the gateways' pods can be asked."},
		{Cluster, "security.istio.io", []string{"requestauthentications", "authorizationpolicies"}, nil, read,
			"Other JWT rules at the gateways; repair of our own."},
		{Cluster, "telemetry.istio.io", []string{"telemetries"}, nil, read,
			"Repair of our own."},
		{Cluster, "admissionregistration.k8s.io", []string{"validatingadmissionpolicies", "validatingadmissionpolicybindings"}, []string{"greenroom-guard", "greenroom-opened-by", "greenroom-break-glass"}, []string{"get"},
			"A condition where a guard is not installed."},
		{Cluster, "authentication.k8s.io", []string{"tokenreviews"}, nil, []string{"create"},
			"Who calls the API, or logs in to its dashboard."},
		{Cluster, "authorization.k8s.io", []string{"subjectaccessreviews"}, nil, []string{"create"},
			"Whether they may do what they ask for, and which buttons they are shown."},

		{Fleets, "greenroom.dev", []string{"fleets/status", "releases/status"}, nil, []string{"update"},
			"The state of a fleet's releases, and its view for each release."},
		{Fleets, "greenroom.dev", []string{"releases"}, nil, []string{"create"},
			"Releases that people open, or revert to, over the API."},
		{Fleets, "greenroom.dev", []string{"fleets"}, nil, []string{"patch"},
			"The note of a rollback without the operator, taken away when it was taken in."},
		{Fleets, "argoproj.io", []string{"rollouts"}, nil, []string{"patch"},
			"The image of a release with apply: true; annotations, among them the one that guards the template."},
		{Fleets, "argoproj.io", []string{"rollouts/status"}, nil, []string{"patch"},
			"Promotion in Argo, right behind the switch at the edge."},
		{Fleets, "apps", []string{"deployments"}, nil, []string{"patch"},
			"The same two for a Rollout whose template is a Deployment's."},
		{Fleets, "", []string{"services"}, nil, write,
			"One Service per version that views differ in."},
		{Fleets, "networking.istio.io", []string{"virtualservices", "destinationrules"}, nil, write,
			"Routes at the edge and between services; the copies of rules for those Services."},
		{Fleets, "security.istio.io", []string{"requestauthentications", "authorizationpolicies"}, nil, write,
			"Passes are checked at the gateways."},
		{Fleets, "telemetry.istio.io", []string{"telemetries"}, nil, write,
			"The budget of request logs."},
		{Fleets, "", []string{"configmaps"}, nil, []string{"get", "list", "create", "update", "delete"},
			"The event log, the list of passes, and how far notifications have come. None is watched."},
		{Fleets, "", []string{"secrets"}, nil, []string{"get", "create", "update", "delete"},
			"The key that signs a fleet's passes; a hook's pass, so that it does not stand in the Job; the addresses and keys of notifications, from Secrets that are labelled for it. Only by name: no Secret can be found by listing or watching."},
		{Fleets, "batch", []string{"cronjobs"}, nil, []string{"get"},
			"The template of a hook."},
		{Fleets, "batch", []string{"jobs"}, nil, []string{"get", "list", "create", "delete"},
			"Hooks under way."},
		{Fleets, "argoproj.io", []string{"analysistemplates"}, nil, []string{"get"},
			"What a hook is to analyse."},
		{Fleets, "argoproj.io", []string{"analysisruns"}, nil, []string{"get", "list", "create", "patch", "delete"},
			"Hooks under way; patched to end one at its deadline."},
		{Fleets, "", []string{"pods/log"}, nil, []string{"get"},
			"The end of a hook's output, kept with its event; the logs that people ask for."},

		{Own, "coordination.k8s.io", []string{"leases"}, nil, []string{"create"},
			"One operator at a time. (A name cannot be asked for in a create.)"},
		{Own, "coordination.k8s.io", []string{"leases"}, []string{"greenroom-operator"}, []string{"get", "update"},
			"One operator at a time."},
		{Own, "", []string{"events"}, nil, []string{"create", "patch"},
			"Who leads."},
	}
}
