package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func wall(t time.Time) WallClock {
	return WallClock{Day: int(t.Weekday()), Hour: t.Hour(), Minute: t.Minute()}
}

func TestHours(t *testing.T) {
	for _, c := range []struct {
		hours []string
		at    string // 2026-11-23 is a Monday
		want  bool
	}{
		{nil, "2026-11-23 03:00", true},
		{[]string{"mon-fri 07:00-19:00"}, "2026-11-23 07:00", true},
		{[]string{"mon-fri 07:00-19:00"}, "2026-11-23 06:59", false},
		{[]string{"mon-fri 07:00-19:00"}, "2026-11-23 19:00", false},
		{[]string{"mon-fri 07:00-19:00"}, "2026-11-28 12:00", false},
		{[]string{"mon-fri 07:00-19:00", "sat 08:00-12:00"}, "2026-11-28 11:59", true},
		{[]string{"fri 22:00-06:00"}, "2026-11-27 23:00", true},
		{[]string{"fri 22:00-06:00"}, "2026-11-28 05:59", true},
		{[]string{"fri 22:00-06:00"}, "2026-11-28 06:00", false},
		{[]string{"fri 22:00-06:00"}, "2026-11-27 05:00", false}, // that night began on Thursday
		{[]string{"fri-mon 08:00-09:00"}, "2026-11-29 08:30", true},
		{[]string{"fri-mon 08:00-09:00"}, "2026-11-25 08:30", false},
		{[]string{"22:00-06:00"}, "2026-11-25 02:00", true},
		{[]string{"sun"}, "2026-11-29 23:59", true},
		{[]string{"sun"}, "2026-11-30 00:00", false},
		{[]string{"sat 18:00-24:00"}, "2026-11-28 23:59", true},
		{[]string{"sat 18:00-24:00"}, "2026-11-29 00:00", false},
	} {
		at, err := time.Parse("2006-01-02 15:04", c.at)
		if err != nil {
			t.Fatal(err)
		}
		h := hours(t, c.hours...)
		if got := h.Contain(wall(at)); got != c.want {
			t.Errorf("%q contain %s: %v", c.hours, c.at, got)
		}
		if again := hours(t, h.Strings()...); again.Contain(wall(at)) != c.want {
			t.Errorf("%q read again are %q", c.hours, h.Strings())
		}
	}
}

// TestHoursFollowTheClockOnTheWall: in Berlin, on 29 March 2026 02:00 to 02:59
// are left out, and on 25 October 02:00 to 02:59 come twice.
func TestHoursFollowTheClockOnTheWall(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hours string
		utc   string
		want  bool
	}{
		{"sat 22:00-06:00", "2026-03-29 00:59", true},  // 01:59
		{"sat 22:00-06:00", "2026-03-29 01:00", true},  // 03:00
		{"sat 22:00-06:00", "2026-03-29 03:59", true},  // 05:59: an hour shorter, and still until six
		{"sat 22:00-06:00", "2026-03-29 04:00", false}, // 06:00
		{"sun 02:00-03:00", "2026-03-29 00:59", false}, // 01:59
		{"sun 02:00-03:00", "2026-03-29 01:00", false}, // 03:00: never in them
		{"sun 02:00-03:00", "2026-10-25 00:30", true},  // 02:30, the first
		{"sun 02:00-03:00", "2026-10-25 01:30", true},  // 02:30, the second
		{"sun 02:00-03:00", "2026-10-25 02:00", false}, // 03:00
		{"sat 22:00-06:00", "2026-10-25 04:59", true},  // 05:59: an hour longer
		{"sat 22:00-06:00", "2026-10-25 05:00", false},
	} {
		at, err := time.Parse("2006-01-02 15:04", c.utc)
		if err != nil {
			t.Fatal(err)
		}
		if got := hours(t, c.hours).Contain(wall(at.In(berlin))); got != c.want {
			t.Errorf("%q contain %s UTC: %v", c.hours, c.utc, got)
		}
	}
}

func TestParseHoursSaysWhatToWrite(t *testing.T) {
	for _, text := range []string{"", "monday 07:00-19:00", "mon-fri 7-19", "mon 07:00", "mon 07:00-07:00", "mon 24:00-08:00", "mon 07:00-25:00", "mon 07:00-24:01", "mon 07:60-08:00", "mon +7:00-08:00", "mon 007:0-08:00", "mon 07:00-08:00 09:00-10:00", "07:00-08:00 09:00-10:00", "mon,,tue"} {
		if _, err := ParseHours([]string{text}); err == nil || !strings.ContainsAny(err.Error(), ":;") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseHours(f *testing.F) {
	for _, s := range []string{"mon-fri 07:00-19:00", "sat,sun 22:00-06:00", "06:30-21:00", "sun", "sat 18:00-24:00", "mon 24:00-00:00", "fri-mon,wed 00:00-24:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHours([]string{s})
		if err != nil {
			return
		}
		again, err := ParseHours(h.Strings())
		if err != nil || !slices.Equal(again.Strings(), h.Strings()) {
			t.Errorf("%q is %q, and read again %q, %v", s, h.Strings(), again.Strings(), err)
		}
	})
}

func TestParseFingerprint(t *testing.T) {
	const plain = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	colons := strings.ToUpper("00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff")
	for _, s := range []string{plain, colons, "sha256:" + plain} {
		if f, err := ParseFingerprint(s); err != nil || f.String() != plain {
			t.Errorf("got %v, %v", f, err)
		}
	}
	for _, s := range []string{"", plain[2:], plain + "00", "zz" + plain[2:]} {
		if _, err := ParseFingerprint(s); err == nil {
			t.Errorf("%q is read", s)
		}
	}
}
