package memory

import (
	"iter"
	"slices"
)

// pieceMax is how many values a piece of an ordered set holds at most.
const pieceMax = 512

// ordered is a set of values in order. It is kept in pieces, so that to add a value moves
// few others.
type ordered[T any] struct {
	compare func(a, b T) int
	// pieces are in order, and none is empty.
	pieces [][]T
}

// place is where a value is, or would be added.
func (o *ordered[T]) place(v T) (piece, at int, found bool) {
	piece, _ = slices.BinarySearchFunc(o.pieces, v, func(p []T, v T) int { return o.compare(p[len(p)-1], v) })
	if piece == len(o.pieces) {
		return piece, 0, false
	}
	at, found = slices.BinarySearchFunc(o.pieces[piece], v, o.compare)
	return piece, at, found
}

// add adds a value that is not there.
func (o *ordered[T]) add(v T) {
	piece, at, _ := o.place(v)
	if piece == len(o.pieces) && piece > 0 { // the last of all
		piece--
		at = len(o.pieces[piece])
	}
	if piece == len(o.pieces) {
		o.pieces = append(o.pieces, nil)
	}
	p := slices.Insert(o.pieces[piece], at, v)
	o.pieces[piece] = p
	if len(p) > pieceMax {
		o.pieces[piece] = slices.Clone(p[:pieceMax/2])
		o.pieces = slices.Insert(o.pieces, piece+1, slices.Clone(p[pieceMax/2:]))
	}
}

// remove removes a value.
func (o *ordered[T]) remove(v T) {
	piece, at, found := o.place(v)
	if !found {
		return
	}
	if o.pieces[piece] = slices.Delete(o.pieces[piece], at, at+1); len(o.pieces[piece]) == 0 {
		o.pieces = slices.Delete(o.pieces, piece, piece+1)
	}
}

// after are the values behind one, in order. The set must not change meanwhile.
func (o *ordered[T]) after(v T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for next := range o.from(v) {
			if o.compare(next, v) != 0 && !yield(next) {
				return
			}
		}
	}
}

// from are the values from one on, itself included if it is there.
func (o *ordered[T]) from(v T) iter.Seq[T] {
	return func(yield func(T) bool) {
		piece, at, _ := o.place(v)
		for ; piece < len(o.pieces); piece, at = piece+1, 0 {
			for _, v := range o.pieces[piece][at:] {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// clone is a set of its own.
func (o *ordered[T]) clone() ordered[T] {
	c := ordered[T]{compare: o.compare, pieces: slices.Clone(o.pieces)}
	for i, p := range c.pieces {
		c.pieces[i] = slices.Clone(p)
	}
	return c
}
