// Triggers that wait for the end of the transaction. This file is written wholly in P.
//
// The server refuses to put one off in a security-restricted operation (42501), and all that the library does as the owner is
// one. So a table of ours that carries one cannot be written.
#pragma once

#include "postgres/obstacle.hpp"
#include "postgres/types.hpp"

namespace postgres {

// Finds the first enabled trigger on `table` that is INITIALLY DEFERRED and fires on one of the `watched` writes, that of a
// foreign key included; false if there is none.
bool find_deferred_trigger(Relation table, unsigned watched, Obstacle& found);

}  // namespace postgres
