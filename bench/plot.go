package main

import (
	"bytes"
	"fmt"
	"math"
)

// Measures of the plot, in pixels.
const (
	plotLeft  = 330
	plotWidth = 900
	plotRow   = 30
	plotTop   = 50
	plotBar   = 11
)

// plot draws direct and through beside each other, in MB/s on a logarithmic scale.
func (r *comparison) plot() []byte {
	var b bytes.Buffer
	low, high := 1.0, 10.0
	for _, o := range r.outcomes {
		for high < o.megabytes(max(o.Direct, o.Through)) {
			high *= 10
		}
	}
	x := func(v float64) float64 {
		return plotLeft + (plotWidth-plotLeft-60)*math.Log10(max(v, low)/low)/math.Log10(high/low)
	}
	height := plotTop + plotRow*len(r.outcomes) + 40
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="10" y="20" font-size="15">Direct and through Cordon, MB/s</text>`+"\n")
	fmt.Fprintf(&b, `<rect x="%d" y="10" width="12" height="12" fill="#9aa5b1"/><text x="%d" y="20">direct</text><rect x="%d" y="10" width="12" height="12" fill="#0b6e99"/><text x="%d" y="20">through</text>`+"\n",
		plotWidth-180, plotWidth-163, plotWidth-100, plotWidth-83)
	for tick := low; tick <= high; tick *= 10 {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle" fill="#555">%.0f</text>`+"\n",
			x(tick), x(tick), plotTop-10, height-30, x(tick), height-14, tick)
	}
	for i, o := range r.outcomes {
		y := plotTop + plotRow*i
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s → %s, %d × %s, %s</text>`+"\n", plotLeft-8, y+15, o.sender(), o.sink, o.associations, o.sample.name, o.sockets())
		for k, v := range []float64{o.megabytes(o.Direct), o.megabytes(o.Through)} {
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", plotLeft, y+k*(plotBar+1), x(v)-plotLeft, plotBar, []string{"#9aa5b1", "#0b6e99"}[k])
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">× %.2f</text>`+"\n", x(o.megabytes(max(o.Direct, o.Through)))+6, y+16, o.Ratio)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (o outcome) megabytes(rate float64) float64 { return rate * float64(o.sample.size) / 1e6 }
