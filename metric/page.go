package metric

import (
	"bytes"
	"fmt"
	"strings"
)

//go:generate go run ./internal/gendocs ../docs/metrics.md

// Page is the catalogue as a page for operators, docs/metrics.md.
func Page() []byte {
	var out bytes.Buffer
	out.WriteString(preface)
	for _, r := range catalogue {
		labels := "–"
		if len(r.Labels) > 0 {
			labels = "`" + strings.Join(r.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", r.Name, r.Kind, labels, r.Help)
	}
	out.WriteString(buckets())
	return out.Bytes()
}

const preface = `<!-- made by go generate ./metric from the catalogue; not to be edited -->

# Metrics

` + "`GET /metrics`" + ` on the console's address answers in Prometheus' text format, version 0.0.4. It asks nobody who they are, and so holds no patient
data: labels are names from the configuration and words from this page. A metric has a bounded number of label sets (500, fewer where that is
plenty); what is beyond is counted together under the value ` + "`other`" + `. A metric without a value yet is not written.

` + "```yaml" + `
scrape_configs:
  - job_name: cordon
    static_configs: [{targets: ['127.0.0.1:8080']}]
rule_files: [cordon-alerts.yml]
` + "```" + `

` + "`deploy/cordon-alerts.yml`" + ` has alert rules, ` + "`deploy/cordon-dashboard.json`" + ` a Grafana dashboard (import it and choose your Prometheus).
Counters start at zero with each start of Cordon; those of a declared device (` + "`cordon_device_…`" + `) count on.

| metric | type | labels | meaning |
|---|---|---|---|
`

// buckets lists the bounds of the histograms.
func buckets() string {
	var out strings.Builder
	out.WriteString("\nHistograms have a bucket for each of these upper bounds, and one for all:\n\n")
	for _, r := range catalogue {
		if r.Kind != Histogram {
			continue
		}
		bounds := make([]string, len(r.Buckets))
		for i, b := range r.Buckets {
			bounds[i] = number(b)
		}
		fmt.Fprintf(&out, "- `%s`: %s\n", r.Name, strings.Join(bounds, ", "))
	}
	return out.String()
}
