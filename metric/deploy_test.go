package metric

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	metricName = regexp.MustCompile(`\bcordon_[a-z_]+\b`)
	// used is a metric with what stands in braces after it.
	used   = regexp.MustCompile(`\b(cordon_[a-z_]+)\{([^}]*)\}`)
	labels = regexp.MustCompile(`([a-z_]+)\s*(=~|!=|!~|=)`)
)

// rowOf finds the row of a name as it is written, a histogram's parts too.
func rowOf(name string) (Row, bool) {
	for _, r := range catalogue {
		if r.Name == name || r.Kind == Histogram && slices.Contains([]string{r.Name + "_bucket", r.Name + "_sum", r.Name + "_count"}, name) {
			return r, true
		}
	}
	return Row{}, false
}

// checkQuery reports names and labels that the catalogue does not have.
func checkQuery(t *testing.T, where, query string) {
	t.Helper()
	for _, name := range metricName.FindAllString(query, -1) {
		row, ok := rowOf(name)
		if !ok {
			t.Errorf("%s: there is no metric %s", where, name)
		} else if row.Kind == Histogram && row.Name == name {
			t.Errorf("%s: %s is a histogram: write %s_bucket", where, name, name)
		}
	}
	for _, m := range used.FindAllStringSubmatch(query, -1) {
		row, _ := rowOf(m[1])
		for _, l := range labels.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "instance" && l[1] != "job" && l[1] != "le" && !slices.Contains(row.Labels, l[1]) {
				t.Errorf("%s: %s has no label %s", where, m[1], l[1])
			}
		}
	}
}

func TestAlertsUseWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../deploy/cordon-alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range strings.Split(string(text), "\n") {
		if expr, ok := strings.CutPrefix(strings.TrimSpace(l), "expr: "); ok {
			n++
			checkQuery(t, "alert", expr)
		}
	}
	if n < 20 {
		t.Errorf("%d alerts", n)
	}
}

// dashboard is what the test reads of a Grafana dashboard.
type dashboard struct {
	UID    string
	Title  string
	Panels []struct {
		ID      int
		Title   string
		Type    string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

func TestDashboardUsesWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../deploy/cordon-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	ids, taken, queries := map[int]bool{}, map[[2]int]string{}, 0
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q: no title, or its id is another's", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok || x >= 24 {
					t.Fatalf("panel %q lies over %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			queries++
			if !metricName.MatchString(target.Expr) {
				t.Errorf("panel %q asks %q", p.Title, target.Expr)
			}
			checkQuery(t, p.Title, target.Expr)
		}
	}
	if queries < 25 || d.UID == "" || len(d.Templating.List) != 2 {
		t.Errorf("%d queries, uid %q, %d variables", queries, d.UID, len(d.Templating.List))
	}
}

// A row that nobody counts would promise what is not there.
func TestEveryRowIsUsed(t *testing.T) {
	source := readSource(t)
	rows, err := os.ReadFile("rows.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t([A-Z][A-Za-z]+): +\{Name: "(\w+)"`).FindAllStringSubmatch(string(rows), -1) {
		if !strings.Contains(source, "metric."+m[1]+",") && !strings.Contains(source, "metric."+m[1]+")") {
			t.Errorf("nobody counts %s (metric.%s)", m[2], m[1])
		}
	}
}

// readSource returns the other packages' code.
func readSource(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (path == "../metric" || path == "../interop" || path == "../bench" || path == "../.git") {
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
