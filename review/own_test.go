package review_test

import (
	"testing"

	"cordon/review"
)

func TestReviewNamesPeopleHoweverTheyAreWritten(t *testing.T) {
	r := review.Review{Content: review.Content{Items: []review.Item{
		{Rule: "bypass", About: "person", Name: "Ann Able", Says: "Ann Able: bypasses of inspection started: 1."},
		{Rule: "held", About: "device", Name: "Bob Best"},
	}}}
	if got := r.Of(" ann  ABLE"); len(got) != 1 || got[0].Rule != "bypass" {
		t.Errorf("%v", got)
	}
	if got := r.Of("Bob Best"); len(got) != 0 {
		t.Errorf("a device of that name: %v", got)
	}
}
