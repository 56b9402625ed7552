package history

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"cordon/store"
)

func open(t testing.TB, dir string) *History {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return Open(db)
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func (h *History) sample(t testing.TB, at time.Time, received, queued float64) {
	t.Helper()
	if err := h.Add(t.Context(), at, Sample{Totals: map[string]float64{"objects.received": received}, Levels: map[string]float64{"queue": queued}}); err != nil {
		t.Fatal(err)
	}
}

func TestTotalsAreKeptAsWhatTheyGrewBy(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	h.sample(t, noon, 5, 1)
	h.sample(t, noon.Add(30*time.Second), 12, 5)
	h.sample(t, noon.Add(time.Minute), 12, 0)
	h.sample(t, noon.Add(2*time.Minute), 20, 0)
	h.sample(t, noon.Add(3*time.Minute), 3, 0) // the process was started again
	h.sample(t, noon.Add(4*time.Minute), 3, 0)
	points, err := h.Points(t.Context(), "objects.received", noon, noon.Add(time.Hour), Minute)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(len(points))
	for _, p := range points {
		got += fmt.Sprintf(" %s=%v", p.At.Format("04"), p.Sum)
	}
	if got != "3 00=12 02=8 03=3" {
		t.Error(got)
	}
	levels, err := h.Points(t.Context(), "queue", noon, noon.Add(time.Minute), Minute)
	if err != nil || len(levels) != 1 || levels[0].Mean != 3 || levels[0].Most != 5 {
		t.Errorf("%+v, %v", levels, err)
	}
	if sum, err := open(t, dir).Sum(t.Context(), "objects.received", noon, noon.Add(time.Hour)); sum != 23 || err != nil {
		t.Errorf("%v, %v", sum, err)
	}
}

func TestWhatWasBeforeTheStartIsNoGrowth(t *testing.T) {
	h := open(t, t.TempDir())
	for n, total := range []float64{1000, 1003} {
		standing := map[string]float64{"device.ct-1": total}
		if n == 1 {
			standing["device.mr-1"] = 2 // that came meanwhile
		}
		if err := h.Add(t.Context(), noon.Add(time.Duration(n)*time.Minute), Sample{Standing: standing}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"device.ct-1": 3, "device.mr-1": 2} {
		if got, err := h.Sum(t.Context(), name, noon, noon.Add(time.Hour)); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestStripsAreCells(t *testing.T) {
	h := open(t, t.TempDir())
	for minute := range 121 {
		err := h.Add(t.Context(), noon.Add(time.Duration(minute)*time.Minute), Sample{Totals: map[string]float64{"device.ct-1": float64(minute), "device.mr-1": float64(minute / 60)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	strips, err := h.Strips(t.Context(), "device.", noon, 30*time.Minute, 4)
	if err != nil || len(strips) != 2 || fmt.Sprint(strips) != "[{ct-1 [29 30 30 30]} {mr-1 [0 0 1 0]}]" {
		t.Errorf("%v, %v", strips, err)
	}
}

func TestOldMinutesAreForgotten(t *testing.T) {
	h := open(t, t.TempDir())
	h.sample(t, noon, 1, 1)
	h.sample(t, noon.Add(72*time.Hour), 2, 1)
	h.sample(t, noon.Add(73*time.Hour), 3, 1)
	for step, want := range map[Step]int{Minute: 1, Hour: 2} {
		if points, err := h.Points(t.Context(), "objects.received", noon, noon.Add(100*time.Hour), step); err != nil || len(points) != want {
			t.Errorf("step %d: %v, %v", step, points, err)
		}
	}
}

// Whoever makes up names cannot fill the disk.
func TestSeriesAreBounded(t *testing.T) {
	h := open(t, t.TempDir())
	totals := map[string]float64{}
	for n := range 2 * maxSeries {
		totals[fmt.Sprint("device.", n)] = 1
	}
	for n := range 3 {
		if err := h.Add(t.Context(), noon.Add(time.Duration(n)*time.Minute), Sample{Totals: totals}); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := h.Names(t.Context(), ""); err != nil || len(names) > maxSeries {
		t.Errorf("%d series, %v", len(names), err)
	}
}
