"""The playground: networks that train on points in a plane while one watches them and changes them."""
