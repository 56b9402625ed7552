package metric

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

func written(t *testing.T, ms ...*Metrics) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, ms...); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestText(t *testing.T) {
	m := New()
	m.Count(Queries, 1, "pacs", "answered")
	m.Count(Queries, 2, "pacs", "answered")
	m.Count(Queries, 1, "a\"\\\nb", "refused")
	m.Set(SpoolObjects, 3)
	m.Observe(DeliveryDuration, 0.0025, "pacs") // on a bound: in its bucket
	m.Observe(DeliveryDuration, 500, "pacs")
	m.Collect(CommitmentsPending, func(set Sample) { set(7) })
	got := written(t, m)
	for _, want := range []string{
		"# HELP cordon_queries_total C-FIND and QIDO-RS requests since the start, by archive and outcome.\n# TYPE cordon_queries_total counter\n",
		`cordon_queries_total{archive="pacs",outcome="answered"} 3` + "\n",
		`cordon_queries_total{archive="a\"\\\nb",outcome="refused"} 1` + "\n",
		"cordon_spool_objects 3\n",
		"cordon_commitments_pending 7\n",
		`cordon_delivery_duration_seconds_bucket{archive="pacs",le="0.001"} 0` + "\n",
		`cordon_delivery_duration_seconds_bucket{archive="pacs",le="0.0025"} 1` + "\n",
		`cordon_delivery_duration_seconds_bucket{archive="pacs",le="120"} 1` + "\n",
		`cordon_delivery_duration_seconds_bucket{archive="pacs",le="+Inf"} 2` + "\n",
		`cordon_delivery_duration_seconds_sum{archive="pacs"} 500.0025` + "\n",
		`cordon_delivery_duration_seconds_count{archive="pacs"} 2` + "\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "cordon_retrieves_total") {
		t.Error("a metric without a value is written")
	}
}

// One family is written once, whoever has a part of it.
func TestFamiliesAreMerged(t *testing.T) {
	a, b := New(), New()
	a.Count(Objects, 1, "received")
	b.Count(Objects, 5, "received")
	b.Count(Objects, 2, "held")
	got := written(t, a, nil, b)
	if strings.Count(got, "# TYPE cordon_objects_total") != 1 || !strings.Contains(got, `{outcome="received"} 1`) || !strings.Contains(got, `{outcome="held"} 2`) {
		t.Errorf("got\n%s", got)
	}
}

// Whoever makes up names makes no more label sets than the row allows.
func TestLabelsAreBounded(t *testing.T) {
	m := New()
	var all sync.WaitGroup
	for part := range 4 {
		all.Go(func() {
			for n := range 5000 {
				m.Count(Queries, 1, fmt.Sprint("archive", part, n), "answered")
			}
		})
	}
	m.Collect(DeviceSilent, func(set Sample) {
		for n := range 5000 {
			set(1, fmt.Sprint("device", n))
		}
	})
	all.Wait()
	got := written(t, m)
	if n := strings.Count(got, "cordon_queries_total{"); n != defaultLimit+1 {
		t.Errorf("%d label sets", n)
	}
	if want := fmt.Sprintf(`{archive="other",outcome="other"} %d`, 20000-defaultLimit); !strings.Contains(got, want) {
		t.Errorf("lacks %s", want)
	}
	if n := strings.Count(got, "cordon_device_silent{"); n != defaultLimit {
		t.Errorf("%d devices", n)
	}
}

func TestNilCountsNothing(t *testing.T) {
	var m *Metrics
	m.Count(Queries, 1, "pacs", "answered")
	m.Set(SpoolObjects, 1)
	m.Observe(ObjectSize, 1)
	m.Collect(SpoolObjects, func(Sample) {})
	if got := written(t, m); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestMisuseIsFound(t *testing.T) {
	for name, misuse := range map[string]func(m *Metrics){
		"a counter set":     func(m *Metrics) { m.Set(Queries, 1, "pacs", "answered") },
		"a gauge counted":   func(m *Metrics) { m.Count(SpoolObjects, 1) },
		"a label too few":   func(m *Metrics) { m.Count(Queries, 1, "pacs") },
		"a gauge observed":  func(m *Metrics) { m.Observe(SpoolObjects, 1) },
		"a label collected": func(m *Metrics) { m.Collect(SpoolObjects, func(set Sample) { set(1, "x") }); written(t, m) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("passed")
				}
			}()
			misuse(New())
		})
	}
}

// The conventions of https://prometheus.io/docs/practices/naming/.
func TestCatalogueKeepsTheConventions(t *testing.T) {
	name := regexp.MustCompile(`^cordon(_[a-z]+)+$`)
	seen := map[string]bool{}
	for i, r := range catalogue {
		if !name.MatchString(r.Name) || seen[r.Name] {
			t.Errorf("row %d: name %q is malformed or appears twice", i, r.Name)
		}
		seen[r.Name] = true
		if strings.HasSuffix(r.Name, "_total") != (r.Kind == Counter) {
			t.Errorf("%s: a counter's name, and no other, ends with _total", r.Name)
		}
		if !strings.HasSuffix(r.Help, ".") || strings.Contains(r.Help, "\n") {
			t.Errorf("%s: help is not a sentence", r.Name)
		}
		if (len(r.Buckets) > 0) != (r.Kind == Histogram) || !slices.IsSorted(r.Buckets) {
			t.Errorf("%s: buckets %v", r.Name, r.Buckets)
		}
		if r.Kind == Histogram && !strings.HasSuffix(r.Name, "_seconds") && !strings.HasSuffix(r.Name, "_bytes") {
			t.Errorf("%s: ends with no unit", r.Name)
		}
		if slices.Contains(r.Labels, "le") {
			t.Errorf("%s: le is the histograms' own", r.Name)
		}
	}
}

func TestPageIsUpToDate(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, Page()) {
		t.Error("docs/metrics.md is not what the catalogue says: go generate ./metric")
	}
}

func BenchmarkObserve(b *testing.B) {
	m := New()
	for b.Loop() {
		m.Observe(VerdictDuration, 0.01, "admit")
	}
}

func TestHistogramsAndCountersCanBeRead(t *testing.T) {
	m := New()
	for _, v := range []float64{0.0005, 0.02, 0.02, 1000} {
		m.Observe(VerdictDuration, v, "admit")
	}
	m.Observe(VerdictDuration, 0.02, "hold")
	bounds, atMost := m.Observed(VerdictDuration)
	for i, bound := range bounds {
		want := uint64(1)
		if bound >= 0.02 {
			want = 4
		}
		if atMost[i] != want {
			t.Errorf("at most %v: %d, want %d", bound, atMost[i], want)
		}
	}
	if all := atMost[len(bounds)]; all != 5 {
		t.Errorf("%d in all", all)
	}
	m.Count(Retrieves, 2, "pacs", "answered")
	m.Count(Retrieves, 3, "pacs", "failed")
	m.Count(Retrieves, 4, "ris", "answered")
	if all, some := m.Total(Retrieves), m.Total(Retrieves, "pacs"); all != 9 || some != 5 {
		t.Errorf("%v, %v", all, some)
	}
	if bounds, atMost := (*Metrics)(nil).Observed(VerdictDuration); len(atMost) != len(bounds)+1 {
		t.Error("of nothing")
	}
}
