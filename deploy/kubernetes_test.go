package deploy

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kustomizations are those that a user applies.
var kustomizations = []string{"check", "run", "once", "backfill"}

// objects are what `kubectl apply -k` would send, by kind, each read strictly as
// what Kubernetes takes it for: a field that it does not know is an error.
func objects(t *testing.T, name string) map[string]any {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join("kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]any)
	for _, r := range built.Resources() {
		gvk := r.GetGvk().ApiVersion() + " " + r.GetKind()
		into := map[string]any{
			"v1 Namespace": new(corev1.Namespace), "v1 ServiceAccount": new(corev1.ServiceAccount),
			"v1 ConfigMap": new(corev1.ConfigMap), "v1 Service": new(corev1.Service),
			"apps/v1 Deployment": new(appsv1.Deployment), "batch/v1 CronJob": new(batchv1.CronJob),
			"batch/v1 Job": new(batchv1.Job), "networking.k8s.io/v1 NetworkPolicy": new(networkingv1.NetworkPolicy),
		}[gvk]
		if into == nil {
			t.Fatalf("%s: %s is of no kind that is known here", name, gvk)
		}
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Errorf("%s: %s %s: %v", name, r.GetKind(), r.GetName(), err)
		}
		if r.GetKind() != "Namespace" && r.GetNamespace() != "archiver" {
			t.Errorf("%s: %s %s is in the namespace %q", name, r.GetKind(), r.GetName(), r.GetNamespace())
		}
		found[r.GetKind()] = into
	}
	return found
}

// podOf is the pod that a kustomization runs.
func podOf(t *testing.T, all map[string]any) corev1.PodTemplateSpec {
	t.Helper()
	switch {
	case all["Deployment"] != nil:
		return all["Deployment"].(*appsv1.Deployment).Spec.Template
	case all["CronJob"] != nil:
		return all["CronJob"].(*batchv1.CronJob).Spec.JobTemplate.Spec.Template
	case all["Job"] != nil:
		return all["Job"].(*batchv1.Job).Spec.Template
	}
	t.Fatal("there is no pod")
	return corev1.PodTemplateSpec{}
}

// Every file is part of what somebody applies.
func TestKubernetesFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("kubernetes", "*", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	applied := make(map[string]bool)
	for _, name := range kustomizations {
		for kind := range objects(t, name) {
			applied[strings.ToLower(kind)+".yaml"] = true
		}
	}
	for _, file := range files {
		base := filepath.Base(file)
		if base != "kustomization.yaml" && !applied[base] {
			t.Errorf("%s is applied by none of %v", file, kustomizations)
		}
	}
}

// Each pod is let in where Kubernetes' own policy "restricted" is enforced, and
// holds back more than that.
func TestKubernetesSecurity(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, name := range kustomizations {
		all := objects(t, name)
		pod := podOf(t, all)
		for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s: %s", name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		if level := all["Namespace"].(*corev1.Namespace).Labels[api.EnforceLevelLabel]; level != string(api.LevelRestricted) {
			t.Errorf("%s: the namespace enforces %q", name, level)
		}
		if s := all["ServiceAccount"].(*corev1.ServiceAccount); pod.Spec.ServiceAccountName != s.Name || *s.AutomountServiceAccountToken || *pod.Spec.AutomountServiceAccountToken {
			t.Errorf("%s: the pod holds a token of Kubernetes'", name)
		}
		c := pod.Spec.Containers[0]
		if len(pod.Spec.Containers) != 1 || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s may write to its image", name)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: no resources", name)
		}
		if !regexp.MustCompile(`^registry\.example\.com/archiver:\d+\.\d+\.\d+$`).MatchString(c.Image) {
			t.Errorf("%s: the image %s is not one release", name, c.Image)
		}
		// SIGTERM is answered within ten seconds.
		if grace := *pod.Spec.TerminationGracePeriodSeconds; grace <= 10 || grace > 30 {
			t.Errorf("%s is killed after %d seconds", name, grace)
		}
		// The image's own account.
		docker, err := os.ReadFile(filepath.Join("..", "Dockerfile"))
		if err != nil {
			t.Fatal(err)
		}
		if *pod.Spec.SecurityContext.RunAsUser != 65532 || !strings.Contains(string(docker), "\nUSER 65532:65532\n") {
			t.Errorf("%s runs as an account that the image does not have", name)
		}
	}
}

// What a pod is told is what the command line takes, and no secret is among it.
func TestKubernetesCommands(t *testing.T) {
	t.Parallel()
	for _, name := range kustomizations {
		all := objects(t, name)
		pod := podOf(t, all)
		c := pod.Spec.Containers[0]
		env := make(map[string]string)
		config := all["ConfigMap"].(*corev1.ConfigMap)
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef.Name != config.Name {
				t.Errorf("%s reads the map %s, which is called %s", name, from.ConfigMapRef.Name, config.Name)
			}
			maps.Copy(env, config.Data)
		}
		for _, e := range c.Env {
			if env[e.Name] = e.Value; e.ValueFrom != nil {
				t.Errorf("%s: %s is in the environment, where whoever sees the pod sees it", name, e.Name)
			}
		}
		known := slices.Clone(secrets)
		for _, command := range append(kustomizations, c.Args[0]) {
			known = append(known, variables(t, command)...) // one map is for all
		}
		if pod.Spec.Volumes[0].Secret.SecretName != "archiver" {
			t.Errorf("%s mounts the secret %s", name, pod.Spec.Volumes[0].Secret.SecretName)
		}
		for variable, value := range env {
			secret, isFile := strings.CutSuffix(variable, "_FILE")
			switch {
			case isFile && slices.Contains(secrets, secret):
				if filepath.Dir(value) != c.VolumeMounts[0].MountPath {
					t.Errorf("%s: %s is %s, which is not mounted", name, variable, value)
				}
			case variable != "GOMEMLIMIT" && !slices.Contains(known, variable):
				t.Errorf("%s sets %s, which is not read", name, variable)
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accepts(t, env, c.Args...)
			if name != "run" {
				return
			}
			if in := settings(t, env); in["listen"] != ":8080" || in["source-retention"] != "30d" || in["lookback"] != "30d" {
				t.Errorf("listens on %v, looks back %v of %v", in["listen"], in["lookback"], in["source-retention"])
			}
		})
	}
}

// A pass never overlaps another; one that hangs ends, and so does a backfill that
// is told something wrong.
func TestKubernetesJobs(t *testing.T) {
	t.Parallel()
	cron := objects(t, "once")["CronJob"].(*batchv1.CronJob).Spec
	if cron.ConcurrencyPolicy != batchv1.ForbidConcurrent || *cron.TimeZone != "Etc/UTC" {
		t.Errorf("passes: %s, in %s", cron.ConcurrencyPolicy, *cron.TimeZone)
	}
	accepts(t, nil, "run", "--schedule", cron.Schedule) // cron as archiver run has it
	// Kubernetes gives a CronJob up that missed a hundred times, unless there is a
	// deadline; one of less than ten seconds may never be met.
	if s := *cron.StartingDeadlineSeconds; s < 10 || s >= 3600 {
		t.Errorf("a pass may begin %d seconds late", s)
	}
	if s := *cron.JobTemplate.Spec.ActiveDeadlineSeconds; s < 3600 {
		t.Errorf("a pass is killed after %d seconds", s)
	}
	for name, job := range map[string]batchv1.JobSpec{
		"once": cron.JobTemplate.Spec, "backfill": objects(t, "backfill")["Job"].(*batchv1.Job).Spec, "check": objects(t, "check")["Job"].(*batchv1.Job).Spec,
	} {
		if job.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
			t.Errorf("%s: restartPolicy %s", name, job.Template.Spec.RestartPolicy)
		}
	}
	backfill := objects(t, "backfill")["Job"].(*batchv1.Job).Spec
	rules := backfill.PodFailurePolicy.Rules
	if rules[0].Action != batchv1.PodFailurePolicyActionFailJob || !slices.Equal(rules[0].OnExitCodes.Values, []int32{exitUsage}) ||
		*rules[0].OnExitCodes.ContainerName != backfill.Template.Spec.Containers[0].Name {
		t.Errorf("%+v", rules[0])
	}
}

// The probes ask what is served, on the port that is.
func TestKubernetesProbes(t *testing.T) {
	t.Parallel()
	all := objects(t, "run")
	d := all["Deployment"].(*appsv1.Deployment)
	c := d.Spec.Template.Spec.Containers[0]
	for name, probe := range map[string]struct {
		*corev1.Probe
		path string
	}{
		"startup": {c.StartupProbe, "/healthz"}, "liveness": {c.LivenessProbe, "/healthz"}, "readiness": {c.ReadinessProbe, "/readyz"},
	} {
		if probe.HTTPGet.Path != probe.path || probe.HTTPGet.Port.String() != c.Ports[0].Name {
			t.Errorf("%s asks %s of %s", name, probe.HTTPGet.Path, probe.HTTPGet.Port.String())
		}
	}
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("%d replicas, %s", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	labels := d.Spec.Template.Labels
	service, network := all["Service"].(*corev1.Service), all["NetworkPolicy"].(*networkingv1.NetworkPolicy)
	for what, selector := range map[string]map[string]string{
		"deployment": d.Spec.Selector.MatchLabels, "service": service.Spec.Selector, "network policy": network.Spec.PodSelector.MatchLabels,
	} {
		if !maps.Equal(selector, labels) {
			t.Errorf("the %s picks %v, the pod is %v", what, selector, labels)
		}
	}
	if service.Spec.Ports[0].TargetPort.String() != c.Ports[0].Name || network.Spec.Ingress[0].Ports[0].Port.String() != c.Ports[0].Name {
		t.Error("another port is let through than is served")
	}
}
