package dataset

import (
	"cmp"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
)

// GenerateOptions say how much to generate.
type GenerateOptions struct {
	Functions   int       // at least 1
	Invocations int       // of all functions in one day
	Date        time.Time // any time in the UTC day; Live uses its clock instead
	Seed        uint64
}

// Generate draws one day with exactly the given numbers of functions and
// invocations. A few functions have most of the invocations, about half of the
// functions' hours have none, and the busy hours are those of a working day.
func Generate(o GenerateOptions) (*Data, error) {
	g, number, err := newGenerator(o, o.Date)
	if err != nil {
		return nil, err
	}
	return replay(g.names, g.ids, o.Seed, g.day(number)), nil
}

// Live draws days that continue with the clock: the day before now, today until
// now, and each later day once the clock reaches it. Each day has
// o.Invocations. A record is listed from its start on, or as waiting some
// seconds earlier, and runs until its end.
func Live(o GenerateOptions, now func() time.Time) (*Data, error) {
	g, today, err := newGenerator(o, now())
	if err != nil {
		return nil, err
	}
	return &Data{
		names: g.names, ids: g.ids, seed: o.Seed, firstDay: today - 1, clock: now,
		generate: g.day, days: map[int64]*day{},
	}, nil
}

// generator holds what all days share.
type generator struct {
	options    GenerateOptions
	names      []string
	ids        requestIDs
	ranks      []int // by function: its place by popularity, from 0
	behaviours []behaviour
}

const (
	// maxFunctions keeps the sum of all weights within 64 bits (see cells).
	maxFunctions = 100_000
	// maxInvocations keeps a day within 8 GB of memory.
	maxInvocations = 1_000_000_000
)

// newGenerator also returns the number of the day that date lies in.
func newGenerator(o GenerateOptions, date time.Time) (g *generator, day int64, err error) {
	day, err = parseDay(date)
	switch {
	case err != nil:
	case o.Functions < 1 || o.Functions > maxFunctions:
		err = fmt.Errorf("%d functions: must be from 1 to %d", o.Functions, maxFunctions)
	case o.Invocations < 0 || o.Invocations > maxInvocations:
		err = fmt.Errorf("%d invocations: must be from 0 to %d", o.Invocations, maxInvocations)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("generate invocations: %w", err)
	}
	g = &generator{options: o}
	areas := []string{"billing", "orders", "media", "users", "search", "mail", "stock", "audit", "geo", "reports"}
	tasks := []string{"import", "export", "resize", "notify", "index", "sync", "cleanup", "verify", "convert", "forward"}
	for i := range o.Functions {
		name := fmt.Sprintf("%s-%s-%03d", areas[i%len(areas)], tasks[i/len(areas)%len(tasks)], i+1)
		r := randomFor(o.Seed, "function", name, 0)
		g.names = append(g.names, name)
		g.behaviours = append(g.behaviours, newBehaviour(r, drawDurations(r)))
	}
	g.ranks = randomFor(o.Seed, "ranks", "", 0).Perm(o.Functions)
	g.ids, err = newRequestIDs(o.Seed, fmt.Sprintf("generate %d", o.Invocations), g.names)
	return g, day, err
}

// drawDurations draws execution times in ms. Some functions answer at once,
// others work for minutes, and each has a long tail.
func drawDurations(r *rand.Rand) percentiles {
	medians := []int{20, 80, 300, 1_200, 5_000, 20_000, 90_000}
	m := float64(medians[r.IntN(len(medians))] * (50 + r.IntN(100)) / 100)
	return percentiles{m / 4, m / 2, m * 3 / 4, m, m * 3 / 2, m * 6, m * 20}
}

// day draws one day. It depends on the seed and the day's number alone.
func (g *generator) day(number int64) *day {
	y := &day{number: number, functions: make([][]packed, g.options.Functions)}
	cells := g.cells(randomFor(g.options.Seed, "hours", "", number))
	share(cells, uint64(g.options.Invocations))
	hits := make([]uint32, 60*60)
	for i := range y.functions {
		r := randomFor(g.options.Seed, "invocations", g.names[i], number)
		mine := cells[i*24 : (i+1)*24]
		total := 0
		for _, c := range mine {
			total += c.count
		}
		y.functions[i] = make([]packed, 0, total)
		for hour, c := range mine {
			if c.count > 0 {
				y.functions[i] = g.behaviours[i].spread(r, y.functions[i], hour*60*60, c.count, hits)
			}
		}
	}
	return y
}

// cell is one hour of one function.
type cell struct {
	weight uint64 // 0 where the function sleeps
	count  int
}

// rhythm is how busy each UTC hour is, in percent.
var rhythm = [24]uint64{
	22, 18, 15, 14, 16, 24, 38, 56, 78, 94, 100, 96,
	84, 88, 97, 95, 86, 72, 60, 52, 46, 40, 34, 27,
}

// cells weighs a day's hours, function by function. It calculates with integers
// only: with floating point, two kinds of processors could draw different
// records. The largest weight is below 2^38, so that the sum fits 64 bits.
func (g *generator) cells(r *rand.Rand) []cell {
	cells := make([]cell, 0, 24*g.options.Functions)
	for _, rank := range g.ranks {
		awake := g.awake(rank, r)
		for hour := range 24 {
			noise := uint64(75 + r.IntN(50))
			if r.IntN(20) == 0 {
				noise *= uint64(4 + r.IntN(8))
			}
			var weight uint64
			if awake[hour] {
				// Zipf's law, with exponent 1.
				weight = 1 + (1<<20)/uint64(rank+1)*rhythm[hour]*noise
			}
			cells = append(cells, cell{weight: weight})
		}
	}
	return cells
}

// awake draws the hours in which a function is invoked. The popular third is
// invoked all day, the next third in working hours, the rest in a few hours.
// Together that is about half of the hours.
func (g *generator) awake(rank int, r *rand.Rand) (hours [24]bool) {
	switch percent := 100 * rank / g.options.Functions; {
	case percent < 30:
		for h := range hours {
			hours[h] = true
		}
	case percent < 60:
		first := 5 + r.IntN(5)
		for h := range 12 {
			hours[first+h] = true
		}
	default:
		for range 2 + r.IntN(6) {
			hours[r.IntN(24)] = true
		}
	}
	return hours
}

// share distributes exactly total invocations. Each cell with a weight gets one,
// if there are enough. The others are distributed by weight, and what rounding
// leaves goes to the largest remainders.
func share(cells []cell, total uint64) {
	var sum, awake uint64
	for _, c := range cells {
		sum += c.weight
		if c.weight > 0 {
			awake++
		}
	}
	least := uint64(0)
	if total >= awake {
		least = 1
		total -= awake
	}
	left := total
	remainders := make([]uint64, len(cells))
	order := make([]int, 0, len(cells))
	for i, c := range cells {
		if c.weight == 0 {
			continue
		}
		hi, lo := bits.Mul64(total, c.weight)
		n, remainder := bits.Div64(hi, lo, sum)
		cells[i].count = int(n + least)
		remainders[i] = remainder
		order = append(order, i)
		left -= n
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	for _, i := range order[:left] {
		cells[i].count++
	}
}
