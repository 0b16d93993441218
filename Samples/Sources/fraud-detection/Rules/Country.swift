import Glibc

/// A country as a circle: its middle, and a radius that holds most of it.
struct Country: Codable, Sendable, Equatable {
    var latitude: Double
    var longitude: Double
    var radius: Double

    /// Kilometers that lie at least between a place here and one there; 0 for neighbours.
    func distance(to other: Country) -> Double {
        let (from, to) = (latitude * .pi / 180, other.latitude * .pi / 180)
        let turn = (other.longitude - longitude) * .pi / 180
        // The haversine formula.
        let haversine =
            pow(sin((to - from) / 2), 2) + cos(from) * cos(to) * pow(sin(turn / 2), 2)
        let middles = 2 * 6_371 * asin(min(1, haversine.squareRoot()))
        return max(0, middles - radius - other.radius)
    }

    /// The countries that the rule knows, by their codes.
    static let named: [String: Country] = [
        "AE": Country(latitude: 24.0, longitude: 54.0, radius: 300),
        "AT": Country(latitude: 47.6, longitude: 14.1, radius: 320),
        "AU": Country(latitude: -25.3, longitude: 133.8, radius: 2_300),
        "BE": Country(latitude: 50.6, longitude: 4.7, radius: 160),
        "BR": Country(latitude: -10.8, longitude: -53.1, radius: 2_300),
        "CA": Country(latitude: 56.1, longitude: -106.3, radius: 2_900),
        "CH": Country(latitude: 46.8, longitude: 8.2, radius: 190),
        "CN": Country(latitude: 35.9, longitude: 104.2, radius: 2_500),
        "CZ": Country(latitude: 49.8, longitude: 15.5, radius: 260),
        "DE": Country(latitude: 51.2, longitude: 10.4, radius: 470),
        "DK": Country(latitude: 56.0, longitude: 10.0, radius: 330),
        "ES": Country(latitude: 40.2, longitude: -3.6, radius: 650),
        "FI": Country(latitude: 64.5, longitude: 26.3, radius: 620),
        "FR": Country(latitude: 46.6, longitude: 2.5, radius: 620),
        "GB": Country(latitude: 54.0, longitude: -2.9, radius: 560),
        "IE": Country(latitude: 53.2, longitude: -8.2, radius: 250),
        "IN": Country(latitude: 22.9, longitude: 79.6, radius: 1_700),
        "IT": Country(latitude: 42.8, longitude: 12.1, radius: 680),
        "JP": Country(latitude: 37.6, longitude: 138.0, radius: 1_400),
        "MX": Country(latitude: 23.9, longitude: -102.5, radius: 1_700),
        "NG": Country(latitude: 9.6, longitude: 8.1, radius: 750),
        "NL": Country(latitude: 52.2, longitude: 5.3, radius: 190),
        "NO": Country(latitude: 64.6, longitude: 12.7, radius: 1_000),
        "PL": Country(latitude: 52.1, longitude: 19.4, radius: 420),
        "PT": Country(latitude: 39.6, longitude: -8.0, radius: 340),
        "SE": Country(latitude: 62.8, longitude: 16.7, radius: 850),
        "SG": Country(latitude: 1.35, longitude: 103.8, radius: 30),
        "TR": Country(latitude: 39.1, longitude: 35.2, radius: 850),
        "US": Country(latitude: 39.8, longitude: -98.6, radius: 2_500),
        "ZA": Country(latitude: -29.0, longitude: 25.1, radius: 950),
    ]
}
