// Finds triggers that wait for the end of the transaction. This file is written wholly in P.
//
// The library writes as the owner, in a security-restricted operation. In such an operation the server refuses to defer a
// trigger (42501). So the library cannot write a table that carries a deferred trigger.
#pragma once

#include "postgres/obstacle.hpp"
#include "postgres/types.hpp"

namespace postgres {

// Finds the first enabled trigger on `table` that is INITIALLY DEFERRED and fires on one of the `watched` writes. Triggers of
// foreign keys count. False: there is none.
bool find_deferred_trigger(Relation table, unsigned watched, Obstacle& found);

}  // namespace postgres
