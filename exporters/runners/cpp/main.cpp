// Segments images with the ONNX file beside this folder, through ONNX Runtime's C++ API. What the engine takes and gives
// stands in contract.hpp, which was written with it.
//
//     segment [-o DIR] [--threads N] [--repeat N] IMAGE|FOLDER|-...
//     ffmpeg -f v4l2 -i /dev/video0 -f image2pipe -c:v ppm - | segment -o masks -
//
// Images: binary PPM always; PNG and JPEG where CMake found libpng and libjpeg. A "-" is standard input: PPM images one
// after the other, as of a camera. Masks: PNG where it found libpng, else PPM.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#ifdef WITH_JPEG
#include <jpeglib.h>
#include <csetjmp>
#endif
#ifdef WITH_PNG
#include <png.h>
#endif

#include "contract.hpp"

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// 8-bit RGB, row by row.
struct Image {
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> pixels;
};

static Image read_ppm(std::istream& stream, const std::string& name) {
    std::string magic;
    int numbers[3], found = 0;
    stream >> magic;
    while (found < 3 && stream >> std::ws) {
        if (stream.peek() == '#') {
            std::string comment;
            std::getline(stream, comment);
        } else if (!(stream >> numbers[found++])) {
            break;
        }
    }
    if (magic != "P6" || found < 3 || numbers[0] < 1 || numbers[1] < 1 || numbers[2] != 255)
        throw std::runtime_error(name + " is no binary PPM of 8 bits");
    stream.get();
    Image image{numbers[0], numbers[1], std::vector<std::uint8_t>(3ull * numbers[0] * numbers[1])};
    if (!stream.read(reinterpret_cast<char*>(image.pixels.data()), image.pixels.size()))
        throw std::runtime_error(name + " ends early");
    return image;
}

#ifdef WITH_PNG
static Image read_png(const fs::path& path) {
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&png, path.c_str()))
        throw std::runtime_error(path.string() + " cannot be read: " + png.message);
    png.format = PNG_FORMAT_RGB;
    Image image{int(png.width), int(png.height), std::vector<std::uint8_t>(PNG_IMAGE_SIZE(png))};
    if (!png_image_finish_read(&png, nullptr, image.pixels.data(), 0, nullptr))
        throw std::runtime_error(path.string() + " cannot be read: " + png.message);
    return image;
}
#endif

#ifdef WITH_JPEG
struct JpegFailure {
    jpeg_error_mgr manager;
    std::jmp_buf back;
};

static Image read_jpeg(const fs::path& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) throw std::runtime_error(path.string() + " cannot be opened");
    Image image;
    jpeg_decompress_struct jpeg;
    JpegFailure failure;
    jpeg.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = [](j_common_ptr common) {
        std::longjmp(reinterpret_cast<JpegFailure*>(common->err)->back, 1);
    };
    if (setjmp(failure.back)) {
        jpeg_destroy_decompress(&jpeg);
        std::fclose(file);
        throw std::runtime_error(path.string() + " cannot be read");
    }
    jpeg_create_decompress(&jpeg);
    jpeg_stdio_src(&jpeg, file);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
    image.width = int(jpeg.output_width);
    image.height = int(jpeg.output_height);
    image.pixels.resize(3ull * image.width * image.height);
    while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW row = image.pixels.data() + 3ull * image.width * jpeg.output_scanline;
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    std::fclose(file);
    return image;
}
#endif

static std::string ending(const fs::path& path) {
    std::string text = path.extension().string();
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    return text;
}

static bool readable(const fs::path& path) {
    const std::string kind = ending(path);
    bool known = kind == ".ppm";
#ifdef WITH_PNG
    known = known || kind == ".png";
#endif
#ifdef WITH_JPEG
    known = known || kind == ".jpg" || kind == ".jpeg";
#endif
    return known;
}

static Image read_image(const fs::path& path) {
    if (!fs::exists(path)) throw std::runtime_error(path.string() + " does not exist");
    const std::string kind = ending(path);
#ifdef WITH_PNG
    if (kind == ".png") return read_png(path);
#endif
#ifdef WITH_JPEG
    if (kind == ".jpg" || kind == ".jpeg") return read_jpeg(path);
#endif
    if (kind == ".ppm") {
        std::ifstream stream(path, std::ios::binary);
        return read_ppm(stream, path.string());
    }
    throw std::runtime_error(path.string() + ": this build reads no " + kind + " files");
}

#ifdef WITH_PNG
static const char* const MASK_ENDING = ".png";
#else
static const char* const MASK_ENDING = ".ppm";
#endif

/// Where the masks go; none may take the place of an image, or of another's mask.
class Masks {
public:
    Masks(fs::path folder, const std::vector<fs::path>& images) : folder_(std::move(folder)) {
        for (const fs::path& path : images) given_.insert(fs::weakly_canonical(path));
    }

    /// The mask's path for an image of this name (which may hold dots) and origin.
    fs::path claim(const std::string& name, const std::string& origin) {
        const fs::path mask = folder_ / (name + MASK_ENDING);
        if (given_.count(fs::weakly_canonical(mask)))
            throw std::runtime_error("the mask of " + origin + " would take the place of the image " + mask.string() +
                                     ": choose another folder with -o");
        const auto [place, first] = drawn_.emplace(mask, origin);
        if (!first)
            throw std::runtime_error(place->second + " and " + origin + " would both be drawn into " + mask.string() +
                                     ": draw them into different folders");
        return mask;
    }

private:
    fs::path folder_;
    std::set<fs::path> given_;
    std::map<fs::path, std::string> drawn_;
};

static void write_image(const Image& image, const fs::path& path) {
#ifdef WITH_PNG
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    png.width = image.width;
    png.height = image.height;
    png.format = PNG_FORMAT_RGB;
    if (!png_image_write_to_file(&png, path.c_str(), 0, image.pixels.data(), 0, nullptr))
        throw std::runtime_error(path.string() + " cannot be written: " + png.message);
#else
    std::ofstream stream(path, std::ios::binary);
    stream << "P6\n" << image.width << " " << image.height << "\n255\n";
    stream.write(reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size());
    if (!stream) throw std::runtime_error(path.string() + " cannot be written");
#endif
}

/// What one pixel of a resized row or column is made of: weights of `size` input pixels from `first` on.
struct Taps {
    int first;
    std::vector<double> weights;
};

/// Bilinear resampling that averages where it shrinks, as Pillow's: a triangle as wide as the scale.
static std::vector<Taps> taps_of(int from, int to) {
    const double scale = double(from) / to, support = std::max(scale, 1.0);
    std::vector<Taps> taps(to);
    for (int i = 0; i < to; ++i) {
        const double centre = (i + 0.5) * scale;
        const int first = std::max(0, int(centre - support + 0.5)), last = std::min(from, int(centre + support + 0.5));
        double total = 0;
        taps[i].first = first;
        for (int j = first; j < last; ++j) {
            const double weight = std::max(0.0, 1.0 - std::abs((j - centre + 0.5) / support));
            taps[i].weights.push_back(weight);
            total += weight;
        }
        for (double& weight : taps[i].weights) weight /= total;
    }
    return taps;
}

static std::uint8_t rounded(double value) { return std::uint8_t(std::clamp(value + 0.5, 0.0, 255.0)); }

static Image resized(const Image& image, int width, int height) {
    if (image.width == width && image.height == height) return image;
    Image wide{width, image.height, std::vector<std::uint8_t>(3ull * width * image.height)};
    const auto columns = taps_of(image.width, width), rows = taps_of(image.height, height);
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c) {
                double sum = 0;
                for (std::size_t k = 0; k < columns[x].weights.size(); ++k)
                    sum += columns[x].weights[k] * image.pixels[3 * (std::size_t(y) * image.width + columns[x].first + k) + c];
                wide.pixels[3 * (std::size_t(y) * width + x) + c] = rounded(sum);
            }
    Image result{width, height, std::vector<std::uint8_t>(3ull * width * height)};
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c) {
                double sum = 0;
                for (std::size_t k = 0; k < rows[y].weights.size(); ++k)
                    sum += rows[y].weights[k] * wide.pixels[3 * (std::size_t(rows[y].first + k) * width + x) + c];
                result.pixels[3 * (std::size_t(y) * width + x) + c] = rounded(sum);
            }
    return result;
}

/// The engine, opened once. Labels are (HEIGHT, WIDTH), row by row.
class Engine {
public:
    Engine(const fs::path& path, int threads) : environment_(ORT_LOGGING_LEVEL_WARNING, "segment") {
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(threads);
        session_ = Ort::Session(environment_, path.c_str(), options);
    }

    std::vector<std::uint8_t> labels(const Image& image) {
        const std::size_t plane = std::size_t(contract::HEIGHT) * contract::WIDTH;
        const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        std::vector<float> values;
        std::vector<std::uint8_t> bytes;
        Ort::Value input{nullptr};
        if (contract::TAKES_PIXELS) {
            for (int n = 0; n < contract::BATCH; ++n) bytes.insert(bytes.end(), image.pixels.begin(), image.pixels.end());
            const std::array<std::int64_t, 4> shape{contract::BATCH, contract::HEIGHT, contract::WIDTH, 3};
            input = Ort::Value::CreateTensor<std::uint8_t>(memory, bytes.data(), bytes.size(), shape.data(), shape.size());
        } else {
            values.resize(3 * plane * contract::BATCH);
            for (int n = 0; n < contract::BATCH; ++n)
                for (int c = 0; c < 3; ++c)
                    for (std::size_t i = 0; i < plane; ++i)
                        values[(3ull * n + c) * plane + i] =
                            (float(image.pixels[3 * i + c]) - contract::MEAN[c] * 255.0f) / (contract::STD[c] * 255.0f);
            const std::array<std::int64_t, 4> shape{contract::BATCH, 3, contract::HEIGHT, contract::WIDTH};
            input = Ort::Value::CreateTensor<float>(memory, values.data(), values.size(), shape.data(), shape.size());
        }
        const char* inputs[] = {contract::INPUT};
        const char* outputs[] = {contract::OUTPUT};
        auto found = session_.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 1);
        std::vector<std::uint8_t> result(plane);
        if (contract::GIVES_LABELS) {
            std::copy_n(found[0].GetTensorData<std::uint8_t>(), plane, result.begin());
            return result;
        }
        const float* logits = found[0].GetTensorData<float>();
        for (std::size_t i = 0; i < plane; ++i) {
            int best = 0;
            for (int k = 1; k < contract::CLASSES; ++k)
                if (logits[k * plane + i] > logits[best * plane + i]) best = k;
            result[i] = std::uint8_t(best);
        }
        return result;
    }

private:
    Ort::Env environment_;
    Ort::Session session_{nullptr};
};

/// The coloured mask, each pixel of the image taking the nearest label's.
static Image painted(const std::vector<std::uint8_t>& labels, int width, int height) {
    Image mask{width, height, std::vector<std::uint8_t>(3ull * width * height)};
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const int row = int((y + 0.5) * contract::HEIGHT / height), column = int((x + 0.5) * contract::WIDTH / width);
            const std::uint8_t* colour = contract::COLOURS[labels[std::size_t(row) * contract::WIDTH + column]];
            std::copy_n(colour, 3, &mask.pixels[3 * (std::size_t(y) * width + x)]);
        }
    return mask;
}

static int whole(const char* text) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (*end || value < 1 || value > 1'000'000) throw std::runtime_error(std::string(text) + " is no whole number from 1");
    return int(value);
}

static int run(int count, char** given) {
    std::vector<fs::path> images;
    fs::path out = "masks";
    int threads = 1, repeat = 1;
    bool from_camera = false;
    for (int i = 1; i < count; ++i) {
        const std::string text = given[i];
        const bool more = i + 1 < count;
        if ((text == "-o" || text == "--out") && more) out = given[++i];
        else if (text == "--threads" && more) threads = whole(given[++i]);
        else if (text == "--repeat" && more) repeat = whole(given[++i]);
        else if (text == "-") from_camera = true;
        else if (text.rfind("-", 0) == 0) throw std::runtime_error("usage: segment [-o DIR] [--threads N] [--repeat N] IMAGE|FOLDER|-...");
        else if (fs::is_directory(text)) {
            for (const auto& entry : fs::directory_iterator(text))
                if (readable(entry.path())) images.push_back(entry.path());
        } else images.push_back(text);
    }
    if (images.empty() && !from_camera) throw std::runtime_error("no image was given or found");
    std::sort(images.begin(), images.end());
    Masks masks(out, images);
    std::vector<fs::path> places;
    for (const fs::path& path : images) places.push_back(masks.claim(path.stem().string(), path.string()));
    fs::create_directories(out);
    const fs::path beside = fs::path(contract::FOLDER) / contract::FILE;
    if (!fs::exists(beside)) throw std::runtime_error(beside.string() + " does not exist: build again where the engine lies");
    Engine engine(beside, threads);
    double spent = 0;
    std::size_t drawn = 0;
    const auto draw = [&](const Image& image, const fs::path& mask) {
        std::vector<std::uint8_t> labels;
        for (int n = 0; n < repeat; ++n) {
            const auto start = Clock::now();
            labels = engine.labels(resized(image, contract::WIDTH, contract::HEIGHT));
            spent += std::chrono::duration<double, std::milli>(Clock::now() - start).count();
        }
        write_image(painted(labels, image.width, image.height), mask);
        ++drawn;
    };
    for (std::size_t i = 0; i < images.size(); ++i) draw(read_image(images[i]), places[i]);
    for (int frame = 0; from_camera && std::cin.peek() != EOF; ++frame) {
        char name[32];
        std::snprintf(name, sizeof name, "frame%05d", frame);
        draw(read_ppm(std::cin, "standard input"), masks.claim(name, "standard input"));
    }
    if (!drawn) throw std::runtime_error("standard input held no image");
    std::printf("%zu masks in %s, %.2f ms an image from pixels to labels\n", drawn, out.c_str(),
                spent / (double(drawn) * repeat));
    return 0;
}

int main(int count, char** given) {
    try {
        return run(count, given);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << "\n";
        return 2;
    }
}
