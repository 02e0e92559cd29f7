/* Broadcasting of shapes. */
#ifndef WEIR_AUTODIFF_BASE_BROADCAST_H
#define WEIR_AUTODIFF_BASE_BROADCAST_H

#include <weir/shape.h>

/* NumPy's rule; false when the shapes don't broadcast. */
bool ad__shape_broadcast(ad_shape a, ad_shape b, ad_shape *result);

#endif
